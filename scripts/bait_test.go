package scripts

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"bottle/pkg/docker/dockertest"
	"bottle/pkg/term/termtest"

	"golang.org/x/sys/unix"
)

// A bait is what lies around a bottle with the hostile agent in it: all that it
// must not reach, and a mark on each that it touched. Its exported fields are
// what the agent is told, testdata/hostile.
type bait struct {
	TCP, UDP, Abstract, Sockets, Files, Secrets, Protected, Only, Masked []string
	Key, Pids, Beside                                                    int
	Local, Copied, Empty, Cores                                          bool

	op      *operator
	mu      sync.Mutex
	touched []string
	fd      *os.File // a connection that the launcher has inherited
	// terminal has the launcher on one of its own.
	terminal bool
}

// baitMark begins each secret of the operator's.
const baitMark = "bait-4b1d-"

// newBait lays it: ports on every address, sockets with and without a path, files.
func newBait(t *testing.T, op *operator) *bait {
	t.Helper()
	b := &bait{op: op, Empty: true, Pids: 250}
	var cores unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_CORE, &cores))
	b.Cores = cores.Max > 0
	b.listenEverywhere(t)
	name := dockertest.Name("hostile")
	b.listen(t, "@"+name)
	b.Abstract = []string{name}
	op.mkdir(op.home)
	for _, path := range []string{filepath.Join(op.home, "ssh-agent.sock"), filepath.Join(os.TempDir(), name+".sock")} {
		b.listen(t, path)
		b.Sockets = append(b.Sockets, path)
	}
	for _, f := range []string{filepath.Join(op.home, ".ssh", "id_bait"), filepath.Join(filepath.Dir(op.work), "other", "bait")} {
		op.write(f, baitMark+"file\n", 0o644)
		b.Files = append(b.Files, f)
	}
	op.env = append(op.env, "BAIT_TOKEN="+baitMark+"token", "OTHER_KEY="+baitMark+"other")
	for _, s := range []string{"file", "token", "other", "key"} {
		b.secret(baitMark + s)
	}
	b.secret(base64.StdEncoding.EncodeToString([]byte(baitMark + "token")))
	c, err := net.Dial("unix", b.Sockets[0])
	must(t, err)
	b.fd, err = c.(*net.UnixConn).File()
	must(t, err)
	must(t, c.Close())
	t.Cleanup(func() { b.fd.Close() })
	await(t, "the launcher's own connection", func() bool { return len(b.bitten()) == 1 })
	b.touched = nil
	return b
}

// secret masks one: the agent must not have from us what it looks for.
func (b *bait) secret(s string) {
	masked := []byte(s)
	for i := range masked {
		masked[i] ^= 0x55
	}
	b.Secrets = append(b.Secrets, hex.EncodeToString(masked))
}

func (b *bait) touch(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.touched = append(b.touched, what)
}

// bitten is what was touched.
func (b *bait) bitten() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.touched
}

// listenEverywhere: on all addresses of this machine, and each of its own.
func (b *bait) listenEverywhere(t *testing.T) {
	t.Helper()
	for _, a := range append([]string{"127.0.0.1", "::1"}, hostAddresses(t)...) {
		ln, err := net.Listen("tcp", net.JoinHostPort(a, "0"))
		if err != nil {
			continue // an address that is going away
		}
		b.accept(t, ln)
		b.TCP = append(b.TCP, ln.Addr().String())
		p, err := net.ListenPacket("udp", ln.Addr().String())
		if err != nil {
			continue
		}
		t.Cleanup(func() { p.Close() })
		b.UDP = append(b.UDP, p.LocalAddr().String())
		go func() {
			for buf := make([]byte, 512); ; {
				n, from, err := p.ReadFrom(buf)
				if err != nil {
					return
				}
				b.touch("UDP " + p.LocalAddr().String())
				p.WriteTo(buf[:n], from)
			}
		}()
	}
}

// listen is on a unix socket that anybody may connect to.
func (b *bait) listen(t *testing.T, path string) {
	t.Helper()
	ln, err := net.Listen("unix", path)
	must(t, err)
	b.accept(t, ln)
	if path[0] != '@' {
		must(t, os.Chmod(path, 0o666))
	}
}

func (b *bait) accept(t *testing.T, ln net.Listener) {
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.touch(ln.Addr().Network() + " " + ln.Addr().String())
			c.Close()
		}
	}()
}

// An attempt is a line of the hostile agent's.
type attempt struct{ verdict, row, what, how string }

// besiege runs the hostile agent in a bottle, with args of bottlerun run. The
// launcher has inherited descriptors and a session keyring, and prints to a file.
func (b *bait) besiege(args ...string) ([]attempt, result) {
	b.op.t.Helper()
	return b.storm(append([]string{"run", "-f", b.op.manifest}, args...)...)
}

// storm is besiege by another verb of bottlerun.
func (b *bait) storm(args ...string) ([]attempt, result) {
	b.op.t.Helper()
	program := filepath.Join(b.op.work, "hostile")
	if _, err := os.Stat(program); err != nil {
		must(b.op.t, copyProgram(hostileProgram(b.op.t), program))
	}
	out, err := os.Create(filepath.Join(b.op.t.TempDir(), "out"))
	must(b.op.t, err)
	defer out.Close()
	var errs strings.Builder
	cmd := b.op.command(b.op.t.Context(), "bottlerun", append(args, "--", "./hostile")...)
	cmd.Stdout, cmd.Stderr = out, &errs
	drawn := b.onTerminal(cmd, out)
	cmd.ExtraFiles = make([]*os.File, 252-3)
	cmd.ExtraFiles[77-3], cmd.ExtraFiles[251-3] = out, b.fd
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread has the keyring, and ends with it
		if b.Key, err = plantKey(); err != nil {
			b.op.t.Logf("no key is planted: %v", err)
		}
		told, err := json.Marshal(b)
		if err == nil {
			b.op.write(filepath.Join(b.op.work, "hostile.json"), string(told), 0o644)
			err = cmd.Start()
		}
		started <- err
	}()
	must(b.op.t, <-started)
	err = cmd.Wait()
	if cmd.ProcessState == nil {
		b.op.t.Fatal(err)
	}
	drawn()
	data, err := os.ReadFile(out.Name())
	must(b.op.t, err)
	r := result{code: cmd.ProcessState.ExitCode(), out: string(data), errors: errs.String()}
	return attempts(r.out), r
}

// onTerminal gives cmd a terminal, if it is to have one, and copies what is drawn
// there to out. What it returns waits for the rest, and looks for what somebody
// has typed into it.
func (b *bait) onTerminal(cmd *exec.Cmd, out io.Writer) (drawn func()) {
	t := b.op.t
	if !b.terminal {
		return func() {}
	}
	master, slave := termtest.Open(t, 80, 24)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	copied := make(chan error)
	go func() {
		_, err := io.Copy(out, master)
		copied <- err
	}()
	return func() {
		if n, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ); err != nil || n != 0 {
			t.Errorf("%d characters are typed into the operator's terminal, %v", n, err)
		}
		slave.Close()
		<-copied // with the error that a terminal ends with
	}
}

func attempts(out string) (list []attempt) {
	for line := range strings.Lines(out) {
		if f := strings.Split(strings.TrimRight(line, "\r\n"), "\t"); len(f) == 4 {
			list = append(list, attempt{f[0], f[1], f[2], f[3]})
		}
	}
	return list
}

// plantKey puts a key into a new session keyring of this thread's.
func plantKey() (int, error) {
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		return 0, err
	}
	return unix.AddKey("user", "bottle-hostile", []byte(baitMark+"key"), unix.KEY_SPEC_SESSION_KEYRING)
}

// hostileProgram is testdata/hostile, built once.
func hostileProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(base, "bin", "hostile")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		must(t, os.WriteFile(path, dockertest.Program(t, "./testdata/hostile"), 0o755))
		must(t, os.Chmod(path, 0o755))
	}
	return path
}

// count says how often each row has the verdict.
func count(list []attempt, verdict string) map[string]int {
	n := map[string]int{}
	for _, a := range list {
		if a.verdict == verdict {
			n[a.row]++
		}
	}
	return n
}

func (a attempt) String() string { return fmt.Sprintf("%s: %s: %s", a.row, a.what, a.how) }
