package scripts

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises: every promise of the README stands, in the same words, over the
// test that shows it.
func TestPromises(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "README.md"), "\n## What is promised\n")
	if !ok {
		t.Fatal("README.md promises nothing")
	}
	section, _, _ = strings.Cut(section, "\n\n[DESIGN")
	shown := shownPromises(t)
	for _, p := range strings.Split(section, "\n- ")[1:] {
		if words := strings.Join(strings.Fields(p), " "); !shown[words] {
			t.Errorf("no test has the comment\n// README: %s", words)
		}
	}
}

// overTest is the end of the comment right over a test.
var overTest = regexp.MustCompile(`// README: ((?:.*\n// )*.*)\nfunc Test`)

func shownPromises(t *testing.T) map[string]bool {
	t.Helper()
	shown := map[string]bool{}
	for _, pattern := range []string{"../*/*_test.go", "../pkg/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			must(t, err)
			for _, m := range overTest.FindAllStringSubmatch(string(data), -1) {
				shown[strings.Join(strings.Fields(strings.ReplaceAll(m[1], "\n// ", " ")), " ")] = true
			}
		}
	}
	return shown
}
