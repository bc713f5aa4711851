package sandbox

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAttack lets the hostile agent try every row of the escape table.
func TestAttack(t *testing.T) {
	needsSandbox(t)
	dir := t.TempDir()
	for _, d := range []string{".git/hooks", ".git/objects", ".git/refs", ".claude"} {
		mkdir(t, filepath.Join(dir, d))
	}
	write(t, filepath.Join(dir, ".git/HEAD"), "ref: refs/heads/main\n")
	write(t, filepath.Join(dir, ".git/config"), "[core]\n\tbare = false\n")
	before := listing(t, dir)

	secret := filepath.Join(t.TempDir(), "secret") // in the operator's /tmp
	write(t, secret, "secret")
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	abstract, err := net.Listen("unix", "@sandbox-test-abstract")
	if err == nil {
		defer abstract.Close()
	}
	leakDescriptors(t, secret)

	w := openWorkspace(t, dir, Policy{})
	cfg := config(t, w, testAgent("attack", w.Path, host.Addr().String(), secret)...)
	cfg.Listen = []Listen{{"tcp", "tcp", ProxyAddr}, {"unix", "unix", Supervise}}
	code, stdout, stderr := run(t, cfg)
	for line := range strings.Lines(stdout) {
		if strings.Contains(line, "ESCAPE") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if n := strings.Count(stdout, ": ok"); code != 0 || n < 200 {
		t.Errorf("code %d, %d attacks refused; stderr: %s", code, n, stderr)
	}
	w.Close()
	checkMine(t, filepath.Join(dir, "mine"))
	for _, f := range []string{"mine", "evil", "suid", ".git/objects/mine"} {
		os.Remove(filepath.Join(dir, f))
	}
	if after := listing(t, dir); after != before {
		t.Errorf("left in the workspace: %q, was %q", after, before)
	}
}

// checkMine: what the agent made belongs to the operator on disk.
func checkMine(t *testing.T, path string) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if int(st.Uid) != os.Geteuid() {
		t.Errorf("a file of the agent's belongs to %d on disk, want %d", st.Uid, os.Geteuid())
	}
}

// leakDescriptors opens descriptors without close-on-exec, as a careless
// caller of the launcher may have.
func leakDescriptors(t *testing.T, path string) {
	t.Helper()
	for _, want := range []int{77, 251} {
		fd, err := unix.Open(path, unix.O_RDONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(fd, want, 0); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		t.Cleanup(func() { unix.Close(want) })
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "-printf", "%P %m %s\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
