package gitindex

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// indexes are those that git itself writes: each version, with each hash.
func indexes(t testing.TB) map[string][]byte {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	all := map[string][]byte{}
	for _, format := range []string{"sha1", "sha256"} {
		for version := 2; version <= 4; version++ {
			dir := t.TempDir()
			git := func(args ...string) {
				cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
				cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			git("init", "-q", "--object-format="+format)
			for name := range content {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content[name]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			git("add", ".")
			if version == 3 { // written where an entry needs it
				git("rm", "-q", "--cached", "later")
				git("add", "--intent-to-add", "later")
			} else {
				git("update-index", "--index-version", fmt.Sprint(version))
			}
			data, err := os.ReadFile(filepath.Join(dir, ".git/index"))
			if err != nil {
				t.Fatal(err)
			}
			if int(data[7]) != version {
				t.Fatalf("git wrote version %d, wanted %d", data[7], version)
			}
			all[fmt.Sprint(format, version)] = data
		}
	}
	return all
}

var content = map[string]string{
	".env": "A=1\n", "a": "", "dir/.env": "B=2\n", "dir/" + strings.Repeat("long", 60): "x", "dir/later": "y",
	"later": "z\n", "ünïcode/é": "u"}

func TestEntries(t *testing.T) {
	for name, data := range indexes(t) {
		found := map[string]bool{}
		err := Entries(data, func(path, hash []byte) {
			text, known := content[string(path)]
			later := strings.HasSuffix(name, "3") && string(path) == "later" // has no content yet
			if !known || Holds(hash, []byte(text)) == later || Holds(hash, []byte(text+"!")) {
				t.Errorf("%s: %.40q has hash %x", name, path, hash)
			}
			found[string(path)] = true
		})
		if err != nil || len(found) != len(content) {
			t.Errorf("%s: %d of %d, %v", name, len(found), len(content), err)
		}
	}
}

// TestTorn: an index that is cut off within its entries is an error, and names no
// path that was not there.
func TestTorn(t *testing.T) {
	for name, data := range indexes(t) {
		last := bytes.LastIndex(data, []byte("é\x00"))
		for n := range last {
			err := Entries(data[:n], func(path, _ []byte) {
				if _, known := content[string(path)]; !known {
					t.Errorf("%s, %d bytes: %q", name, n, path)
				}
			})
			if err == nil {
				t.Errorf("%s: %d bytes of %d are taken for all", name, n, len(data))
			}
		}
	}
}

func FuzzEntries(f *testing.F) {
	for _, data := range indexes(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		Entries(data, func(path, hash []byte) {
			if bytes.IndexByte(path, 0) >= 0 || len(hash) != 20 && len(hash) != 32 {
				t.Errorf("%q %x", path, hash)
			}
		})
	})
}
