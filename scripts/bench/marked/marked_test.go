package marked

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	for _, step := range []struct{ was, want string }{
		{"", "new\n"},
		{"# Page\n<!-- x -->\nold\n<!-- /x -->\nend\n", "# Page\n<!-- x -->\nnew\n<!-- /x -->\nend\n"},
		{"<!-- y -->\nold\n<!-- /y -->\n", "new\n"},
	} {
		if step.was != "" {
			if err := os.WriteFile(file, []byte(step.was), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Write(file, "x", "new\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != step.want {
			t.Errorf("of %q: %q, %v", step.was, got, err)
		}
	}
}
