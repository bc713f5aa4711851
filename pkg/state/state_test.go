package state

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestRoot(t *testing.T) {
	cases := []struct {
		name, bottleDir, xdg, home, want string
	}{
		{"BOTTLE_DIR first", "/a", "/x", "/h", "/a"},
		{"XDG_STATE_HOME next", "", "/x", "/h", "/x/bottle"},
		{"relative XDG_STATE_HOME is ignored", "", "x", "/h", "/h/.local/state/bottle"},
		{"home last", "", "", "/h", "/h/.local/state/bottle"},
		{"nothing", "", "", "", ""},
	}
	for _, c := range cases {
		env := map[string]string{"BOTTLE_DIR": c.bottleDir, "XDG_STATE_HOME": c.xdg, "HOME": c.home}
		got, err := Root(func(k string) string { return env[k] })
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestAtRefusesPathTricks(t *testing.T) {
	for _, s := range []string{"", ".", "..", "a/b", "../x", "-x", "A", "a\x00", "é"} {
		if d, err := At("/root", s); err == nil {
			t.Errorf("At(%q) = %q; want an error", s, d)
		}
	}
}

func TestRecordRoundTrip(t *testing.T) {
	d, _ := At(t.TempDir(), "web")
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no record: got %v", err)
	}
	want := Record{Name: "web", Backend: "local", Started: time.Now().UTC(), Launcher: Self(), Parts: map[string]Part{"agent": Self()}}
	if err := d.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Load()
	if err != nil || got.Launcher != want.Launcher || !got.Started.Equal(want.Started) || got.Parts["agent"] != want.Parts["agent"] {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	slugs, err := List(string(d)[:len(d)-len("/web")])
	if err != nil || len(slugs) != 1 || slugs[0] != "web" {
		t.Errorf("List: %v, %v", slugs, err)
	}
}

func TestHoldIsExclusive(t *testing.T) {
	d, _ := At(t.TempDir(), "web")
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if d.Running() {
		t.Error("runs before anyone held it")
	}
	release, err := d.Hold()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Hold(); !errors.Is(err, ErrRunning) {
		t.Errorf("held twice: %v", err)
	}
	if !d.Running() {
		t.Error("held, and does not run")
	}
	release()
	if d.Running() {
		t.Error("released, and runs")
	}
}

func TestPartSignalsOnlyItself(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := PartOf(cmd.Process.Pid)
	if err != nil || !p.Alive() {
		t.Fatalf("got %v, %v", p, err)
	}
	other := Part{p.Pid, p.Start + 1}
	if err := other.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) {
		t.Errorf("a process with another start was signalled: %v", err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	if p.Alive() || !errors.Is(p.Signal(0), ErrGone) {
		t.Error("ended, and still alive")
	}
}
