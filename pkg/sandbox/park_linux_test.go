package sandbox

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// parked is a policy with a park beside the workspace dir.
func parked(t *testing.T) (dir string, pol Policy) {
	t.Helper()
	base := t.TempDir()
	dir, pol.Park = filepath.Join(base, "work"), filepath.Join(base, "park")
	for _, d := range []string{dir, pol.Park} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir, pol
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	fi, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestPark: placeholders are the same folders the next time, and none is in the
// workspace in between.
func TestPark(t *testing.T) {
	dir, pol := parked(t)
	inodes := func() map[uint64]bool {
		w, err := OpenWorkspace(dir, pol)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		set := map[uint64]bool{}
		for _, rel := range w.Covered() {
			path := filepath.Join(dir, rel)
			set[inode(t, path)] = true
			if fi, err := os.Lstat(path); err != nil || !fi.IsDir() || fi.Mode()&0o222 != 0 {
				t.Errorf("%s is %v, %v; want a folder that nobody writes to", rel, fi.Mode(), err)
			}
		}
		if entries(t, pol.Park) != 0 {
			t.Error("a placeholder is still parked")
		}
		return set
	}
	first := inodes()
	if n := entries(t, dir); n != 0 {
		t.Errorf("%d entries are left in the workspace", n)
	}
	// But for commondir, which is a file in a repository.
	if n := entries(t, pol.Park); n != len(first)-1 || n < 10 {
		t.Errorf("%d placeholders are parked of %d", n, len(first))
	}
	made := 0
	for ino := range inodes() {
		if !first[ino] {
			made++
		}
	}
	if made > 1 {
		t.Errorf("%d folders are new", made)
	}
}

// TestParkLosesNothing: a placeholder that somebody has put something into stays in
// the workspace, and so does one that is none any more.
func TestParkLosesNothing(t *testing.T) {
	dir, pol := parked(t)
	w, err := OpenWorkspace(dir, pol)
	if err != nil {
		t.Fatal(err)
	}
	mine, changed := filepath.Join(dir, ".vscode", "mine"), filepath.Join(dir, ".idea")
	if os.Geteuid() == 0 {
		if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(changed, 0o755); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := os.Stat(changed); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mine); err != nil && os.Geteuid() == 0 {
		t.Error(err)
	}
}

// TestParkOfOthers: what others could write to, or what is no placeholder, is not
// taken from.
func TestParkOfOthers(t *testing.T) {
	dir, pol := parked(t)
	full := filepath.Join(pol.Park, "0")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	open := func() {
		t.Helper()
		w, err := OpenWorkspace(dir, pol)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.Covered()) < 10 {
			t.Errorf("covered: %q", w.Covered())
		}
		w.Close()
	}
	open()
	if _, err := os.Stat(full); err != nil {
		t.Errorf("a folder that is no placeholder was taken: %v", err)
	}
	if err := os.Chmod(pol.Park, 0o755); err != nil {
		t.Fatal(err)
	}
	before := entries(t, pol.Park)
	open()
	if after := entries(t, pol.Park); after != before {
		t.Errorf("%d entries in an open park, before %d", after, before)
	}
}
