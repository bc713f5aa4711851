package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// listenAt makes a socket that anybody may connect to.
func listenAt(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestSystemSockets: a socket below /opt is a way out past every namespace.
func TestSystemSockets(t *testing.T) {
	needsSandbox(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can make a socket below /opt")
	}
	dir, err := os.MkdirTemp("/opt", "sandbox-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	listenAt(t, path)
	code, out, stderr := run(t, config(t, newWorkspace(t, Policy{}), testAgent("connect", path)...))
	if code != 0 || out == "" {
		t.Errorf("code %d, %q, stderr %q; want a failed connection", code, out, stderr)
	}
}

// connect reports what comes of connecting to a unix socket.
func connect(args []string) int {
	c, err := net.Dial("unix", args[0])
	if err == nil {
		c.Close()
		os.Stdout.WriteString("ESCAPE\n")
		return 1
	}
	os.Stdout.WriteString(err.Error() + "\n")
	return 0
}

func TestReadOnlySockets(t *testing.T) {
	dir := t.TempDir()
	listenAt(t, filepath.Join(dir, "s"))
	cfg := config(t, newWorkspace(t, Policy{}), "true")
	cfg.ReadOnly = []string{dir}
	sb, err := Start(cfg)
	if err == nil {
		sb.Abandon()
	}
	if err == nil || !strings.Contains(err.Error(), "is a socket") {
		t.Errorf("got %v; want a refusal", err)
	}
}
