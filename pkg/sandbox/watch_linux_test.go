package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestWatch: what the host replaces is told, by rename and by another file of the
// same name, and what is written in place is not.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{".env": "A=1", "app/.env": "B=2", "mise.toml": "x", ".envrc": "y", ".vscode/settings.json": "z"})
	w := openWorkspace(t, dir, Policy{})
	losses, stop := w.Watch()
	defer stop()
	write(t, filepath.Join(dir, ".env"), "A=2")
	write(t, filepath.Join(dir, ".vscode/other.json"), "z")
	for _, c := range []struct {
		do   func() error
		want Loss
	}{
		{func() error { return replace(filepath.Join(dir, "app/.env"), true) }, Loss{Path: "app/.env"}},
		{func() error { return replace(filepath.Join(dir, "mise.toml"), true) }, Loss{Path: "mise.toml", Told: true}},
		{func() error { return replace(filepath.Join(dir, ".mcp.json"), false) }, Loss{Path: ".mcp.json"}},
		{func() error { return os.Rename(filepath.Join(dir, ".vscode"), filepath.Join(dir, "old")) }, Loss{Path: ".vscode"}},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-losses:
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing was told; want %+v", c.want)
		}
	}
}

// replace puts another file, or folder, in the place of path.
func replace(path string, rename bool) error {
	if !rename {
		if err := os.Remove(path); err != nil {
			return err
		}
		return os.Mkdir(path, 0o755)
	}
	if err := os.WriteFile(path+".new", []byte("new"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// TestWatchLate: what was replaced before anybody watched is told as well.
func TestWatchLate(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{".env": "A=1"})
	w := openWorkspace(t, dir, Policy{})
	if err := replace(filepath.Join(dir, ".env"), true); err != nil {
		t.Fatal(err)
	}
	losses, stop := w.Watch()
	defer stop()
	select {
	case <-losses:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told")
	}
}

// TestGitConfigLock: git itself does not replace its configuration while a bottle has
// the workspace, unless the agent may write it.
func TestGitConfigLock(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	git := func(args ...string) error {
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1")
		return cmd.Run()
	}
	if err := git("init", "-q"); err != nil {
		t.Fatal(err)
	}
	w := openWorkspace(t, dir, Policy{})
	if git("config", "user.name", "x") == nil {
		t.Error("git replaced its configuration")
	}
	if err := git("status"); err != nil {
		t.Error(err)
	}
	w.Close()
	if err := git("config", "user.name", "x"); err != nil {
		t.Error(err)
	}
	w = openWorkspace(t, dir, Policy{Writable: []string{gitConfig}})
	if err := git("config", "user.name", "y"); err != nil {
		t.Error(err)
	}
	w.Close()
}
