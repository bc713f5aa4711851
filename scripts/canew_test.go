package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"bottle/pkg/ca"
)

// TestCaNew: what ca-new makes is an authority for egress-proxy, and it never
// overwrites one.
func TestCaNew(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "ca")
	for i, want := range []int{0, 1} {
		cmd := exec.Command("./ca-new", dir)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != want {
			t.Fatalf("run %d: exit %d; wanted %d\n%s", i+1, cmd.ProcessState.ExitCode(), want, out)
		}
	}
	cert, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	must(t, err)
	key, err := os.ReadFile(filepath.Join(dir, "ca-key.pem"))
	must(t, err)
	if _, err := ca.Load(cert, key); err != nil {
		t.Error(err)
	}
	fi, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", fi.Mode(), err)
	}
	for _, script := range []string{"./ca-new", "./fuzz-all", "./approve", "./reject"} {
		cmd := exec.Command(script)
		if cmd.Run(); cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%s without operands: exit %d; wanted 2", script, cmd.ProcessState.ExitCode())
		}
	}
}
