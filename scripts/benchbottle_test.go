package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestBenchBottle: the measurement runs real bottles, and puts its table where it
// belongs.
func TestBenchBottle(t *testing.T) {
	needSandbox(t, os.Geteuid())
	program, md := filepath.Join(t.TempDir(), "benchbottle"), filepath.Join(t.TempDir(), "bench.md")
	if out, err := exec.Command("go", "build", "-o", program, "./benchbottle").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.WriteFile(md, []byte("before\n<!-- bottle -->\nold\n<!-- /bottle -->\nafter\n"), 0o644))
	cmd := exec.Command(program, "-bin", filepath.Join(base, "bin"), "-n", "2", "-docker", "0", "-md", md)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := regexp.MustCompile("(?s)^before\n<!-- bottle -->\n" +
		`.*\| .run -- true., 2 runs \| ms \| \d.*\| CPU ms \| \d.*\| launcher and process 1 together \| \d.*load average.*` +
		"\n<!-- /bottle -->\nafter\n$")
	got, err := os.ReadFile(md)
	if err != nil || !want.Match(got) {
		t.Errorf("got %s", got)
	}
}
