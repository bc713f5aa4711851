package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReplace: the link stays, and so do the very file, mode and owner of what it leads to; what
// was changed by somebody else stays his.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, []byte("one"), 0o640), os.Chmod(real, 0o640), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	owner := os.Geteuid()
	if owner == 0 {
		owner = 1234
		if err := os.Chown(real, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(real)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("one"), []byte("another")); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(real); err != nil || !os.SameFile(before, after) {
		t.Errorf("another file is in its place, %v", err)
	}
	got, err := os.ReadFile(real)
	if err != nil || string(got) != "another" {
		t.Fatalf("got %q, %v", got, err)
	}
	if to, err := os.Readlink(link); to != "real" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	fi, err := os.Stat(real)
	if err != nil || fi.Mode().Perm() != 0o640 || int(fi.Sys().(*syscall.Stat_t).Uid) != owner {
		t.Errorf("%v of %v, %v", fi.Mode(), fi.Sys(), err)
	}
	for _, was := range []string{"one", "anothe", "another ", "Another"} {
		if err := Replace(link, []byte(was), []byte("third")); !errors.Is(err, ErrChanged) {
			t.Errorf("was %q: %v", was, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReplaceStaysInItsFolder: in the place of the file is a link elsewhere now.
func TestReplaceStaysInItsFolder(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("same"), 0o600), os.Mkdir(filepath.Join(dir, "in"), 0o700),
		os.Symlink("../other", filepath.Join(dir, "in", "file"))); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := unchanged(root, "file", []byte("same")); !errors.Is(err, ErrChanged) {
		t.Errorf("a link passes for the file: %v", err)
	}
}
