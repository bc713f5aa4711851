package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignRepository: a repository that git does not read is told from one without
// a remote.
func TestForeignRepository(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes a repository another user's")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	work := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull) // which may trust every folder
	for _, args := range [][]string{{"init", "-q"}, {"remote", "add", "origin", "https://git.example.com/me/web"}} {
		if out, err := exec.Command("git", append([]string{"-C", work}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	f := find(work, os.Getenv)
	if len(f.remotes) != 1 || len(f.left) != 0 {
		t.Errorf("one's own: %v, %q", f.remotes, f.left)
	}
	for _, path := range []string{work, filepath.Join(work, ".git")} {
		if err := os.Chown(path, 1001, 1001); err != nil {
			t.Fatal(err)
		}
	}
	f = find(work, os.Getenv)
	if len(f.remotes) != 0 || len(f.left) != 1 || !strings.Contains(f.left[0], "another user's") {
		t.Errorf("another's: %v, %q", f.remotes, f.left)
	}
}
