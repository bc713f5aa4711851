package sandbox

import (
	"os"
	"testing"
)

// TestRefuseOpenTop: the agent must not be able to move the folder away that its
// process 1 is in. Root may write everywhere, and is refused before.
func TestRefuseOpenTop(t *testing.T) {
	if err := refuseOpenTop(t.TempDir()); err == nil {
		t.Error("a folder of one's own: not refused")
	}
	if err := refuseOpenTop("/"); (err != nil) != (os.Geteuid() == 0) {
		t.Errorf("/ as uid %d: %v", os.Geteuid(), err)
	}
}
