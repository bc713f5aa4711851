package sandbox

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
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

// TestRelayGone: process 1 does not wait for a relay that has ended, as it does for
// one that has not begun.
func TestRelayGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // as who is killed leaves it
	ln.Close()
	began := time.Now()
	if _, err := dialControl(path); err == nil || time.Since(began) > startTimeout/2 {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	os.Remove(path)
	later := make(chan net.Listener, 1)
	go func() {
		time.Sleep(20 * time.Millisecond) // the point is that it comes later
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Error(err)
		}
		later <- ln
	}()
	_, err = dialControl(path)
	if err != nil {
		t.Errorf("one that comes later: %v", err)
	}
	if ln := <-later; ln != nil {
		ln.Close()
	}
}
