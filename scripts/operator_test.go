package scripts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/state"
)

// strangerUID is the ordinary user that root's tests run a second time as. It
// needs no entry in passwd.
const strangerUID = 12345

// limit bounds every wait: what takes longer on a busy machine is broken.
const limit = 20 * time.Second

// An operator is a user with a home, a workspace below it, a manifest and a
// second proxy that knows where the origin is.
type operator struct {
	t          *testing.T
	uid        int
	home, work string
	manifest   string
	origin     *origin
	env        []string // more variables
	passed     string   // the hosts whose TLS the second proxy leaves alone
}

// asEach runs the test as the user who runs the tests and, when that is root,
// as an ordinary one too. The local backend must work.
func asEach(t *testing.T, test func(t *testing.T, op *operator)) {
	uids := []int{os.Geteuid()}
	if uids[0] == 0 {
		uids = append(uids, strangerUID)
	}
	for _, uid := range uids {
		t.Run(fmt.Sprintf("uid=%d", uid), func(t *testing.T) { test(t, newOperator(t, uid)) })
	}
}

// asSelf is asEach without the second user.
func asSelf(t *testing.T) *operator { return newOperator(t, os.Geteuid()) }

func newOperator(t *testing.T, uid int) *operator {
	t.Helper()
	needSandbox(t, uid)
	// Not t.TempDir, into which no other user gets.
	dir, err := os.MkdirTemp("", "bottle-e2e-op-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	op := &operator{t: t, uid: uid, home: home, work: filepath.Join(home, "src", "project"), manifest: filepath.Join(home, "bottle.yaml"), origin: newOrigin(t)}
	op.write(filepath.Join(op.work, "README"), "the project\n", 0o644)
	op.write(filepath.Join(home, "origin-ca.pem"), string(op.origin.ca), 0o644)
	op.write(filepath.Join(home, "pipelock"), "#!/bin/sh\n# Bottlerun passes on nothing of the operator's environment.\n"+
		"export "+noRaceSleep+" "+roleEnv+"=pipelock STANDIN_HOSTS="+op.origin.table()+"\nexec "+filepath.Join(base, "bin", "standin")+` "$@"`+"\n", 0o755)
	op.allow("allowed.test")
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return op
}

// needSandbox skips the test where namespaces do not work, with the reason.
func needSandbox(t *testing.T, uid int) {
	t.Helper()
	why, asked := probed[uid]
	if !asked {
		why = probe(uid)
		probed[uid] = why
	}
	if why != "" {
		t.Skip(why)
	}
}

// probed is why there are no sandboxes for a uid; "" where there are.
var probed = map[int]string{}

func probe(uid int) string {
	cmd := exec.Command(filepath.Join(base, "bin", "standin"))
	cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{roleEnv + "=probe", noRaceSleep}, credential(uid)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Sprintf("as uid %d: %s(%v)", uid, out, err)
	}
	return ""
}

// noRaceSleep keeps a program built with the race detector from sleeping for a
// second at its end, which each bottle's end would wait for.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

func credential(uid int) *syscall.SysProcAttr {
	if uid == os.Geteuid() {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
}

// write makes a file, and the folders it needs, that are the operator's.
func (op *operator) write(path, text string, mode os.FileMode) {
	op.t.Helper()
	op.mkdir(filepath.Dir(path))
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		op.t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, mode), os.Lchown(path, op.uid, op.uid)); err != nil && os.Geteuid() == 0 {
		op.t.Fatal(err)
	}
}

func (op *operator) mkdir(path string) {
	op.t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	op.mkdir(filepath.Dir(path))
	if err := os.Mkdir(path, 0o755); err != nil {
		op.t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(path, op.uid, op.uid); err != nil {
			op.t.Fatal(err)
		}
	}
}

// allow writes the manifest: these hosts, and more lines of egress_proxy.
func (op *operator) allow(hosts string, more ...string) {
	op.t.Helper()
	op.write(op.manifest, fmt.Sprintf("workspace: %s\negress: {allowlist: [%s]}\negress_proxy:\n  upstream_ca: origin-ca.pem\n  allow_private: [127.0.0.0/8]\n%spipelock: {program: %s, passthrough: [%s]}\n",
		op.work, hosts, strings.Join(more, ""), filepath.Join(op.home, "pipelock"), op.passed), 0o644)
}

// unscanned has the second proxy leave the TLS of these hosts alone: scanned, a
// request loses its Upgrade and its Expect.
func (op *operator) unscanned(hosts string) *operator {
	op.passed = hosts
	op.allow(hosts)
	return op
}

// dir is the state of one of the operator's bottles.
func (op *operator) dir(name string) state.Dir {
	return state.Dir(filepath.Join(op.home, ".local/state/bottle", name))
}

// await waits until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}

// with is the operator for a subtest.
func (op *operator) with(t *testing.T) *operator {
	o := *op
	o.t = t
	return &o
}
