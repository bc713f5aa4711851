package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDockerTerminal: the agent has a terminal of the right size from the start,
// ^C, a resize, and its own exit code.
func TestDockerTerminal(t *testing.T) {
	alongside(t)
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip(err)
	}
	d := newDockside(t, "")
	sock := filepath.Join(d.home, "tmux")
	tmux := func(args ...string) string {
		cmd := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", sock}, args...)...)
		cmd.Env = append(d.command(t.Context(), "bottlerun").Env, "TERM=xterm")
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	script := filepath.Join(d.home, "agent.sh")
	must(t, os.WriteFile(script, []byte(filepath.Join(base, "bin", "bottlerun")+" run -backend docker -f "+d.manifest+" "+d.name+
		" -- sh -c 'stty size; while read line; do stty size; done'\necho \"code $?\"\nsleep 60\n"), 0o700))
	tmux("new-session", "-d", "-x", "91", "-y", "27", "sh "+script)
	defer tmux("kill-server")
	shows := func(text string) {
		t.Helper()
		await(t, "the screen to show "+text, func() bool { return strings.Contains(tmux("capture-pane", "-p"), text) })
	}
	shows("27 91\n")
	tmux("resize-window", "-x", "100", "-y", "40")
	await(t, "the new size", func() bool {
		tmux("send-keys", "Enter")
		return strings.Contains(tmux("capture-pane", "-p"), "40 100\n")
	})
	tmux("send-keys", "C-c")
	shows("code 130\n")
}

// TestDockerBind: the agent has the workspace itself, as its owner, and what the
// host would run is read-only in it and cannot be moved away.
func TestDockerBind(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	if os.Geteuid() == 0 {
		d.want(1, "is root's, and the agent is never root", "bottlerun", "run", "-backend", "docker", "-bind", "-f", d.manifest, d.name, "--", "sh")
		must(t, os.Chown(d.work, strangerUID, strangerUID))
	}
	must(t, os.MkdirAll(filepath.Join(d.work, ".git", "hooks"), 0o755))
	must(t, filepath.WalkDir(d.work, func(path string, _ os.DirEntry, err error) error {
		if err == nil && os.Geteuid() == 0 {
			err = os.Chown(path, strangerUID, strangerUID)
		}
		return err
	}))
	r := d.sail("", "-bind", d.name, "--", "sh", "-c", "id -u; echo made >made; echo evil >.git/hooks/x; mv .git away; mkdir .git/more; echo evil >.envrc; ls -A .git; exit 5")
	uid := "12345\n"
	if os.Geteuid() != 0 {
		uid = ""
	}
	if r.code != 5 || !strings.HasPrefix(r.out, uid) || strings.Count(r.errors, "Read-only file system")+strings.Count(r.errors, "Is a directory") < 2 || !strings.Contains(r.errors, "busy") {
		t.Errorf("%v", r)
	}
	if d.brought("made") != "made\n" {
		t.Error(d.brought("made"))
	}
	for _, name := range []string{".git/hooks/x", ".envrc", "away"} {
		if _, err := os.Lstat(filepath.Join(d.work, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}
