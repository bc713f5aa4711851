package sandbox

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRefusedWorkspaces(t *testing.T) {
	base := t.TempDir()
	home := filepath.Join(base, "home")
	state := filepath.Join(base, "state/bottle")
	project := filepath.Join(home, "project")
	withSocket := filepath.Join(base, "socket")
	linked := filepath.Join(base, "linked")
	linkedParent := filepath.Join(base, "linkedparent")
	for _, d := range []string{project, state, filepath.Join(withSocket, "a/b"), filepath.Join(linked, ".git"), linkedParent} {
		mkdir(t, d)
	}
	write(t, filepath.Join(base, "file"), "")
	l, err := net.Listen("unix", filepath.Join(withSocket, "a/b/s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	symlink(t, "/tmp/evil", filepath.Join(linked, ".git/hooks"))
	symlink(t, "/tmp/evil", filepath.Join(linkedParent, ".claude"))
	symlink(t, home, filepath.Join(base, "tohome"))
	getenv := func(k string) string { return map[string]string{"HOME": home}[k] }

	for _, c := range []struct {
		name, path string
		force      bool
		want       string // "" for one that is fit
	}{
		{"a project", project, false, ""},
		{"the root", "/", false, "home"},
		{"the root by force", "/", true, "home"},
		{"home", home, false, "-force"},
		{"home by force", home, true, ""},
		{"home by a link", filepath.Join(base, "tohome"), false, "-force"},
		{"above home", base, false, "-force"},
		{"system folder", "/usr", false, "belongs to the system"},
		{"below a system folder", "/etc/ssl", false, "lies in /etc"},
		{"in /proc", "/proc/self", false, "lies in /proc"},
		{"in /dev", "/dev/shm", false, "lies in /dev"},
		{"missing", filepath.Join(base, "no"), false, "no such file"},
		{"a file", filepath.Join(base, "file"), false, "not a folder"},
		{"holds the state", filepath.Dir(state), false, "contain each other"},
		{"in the state", state, false, "contain each other"},
		{"a socket", withSocket, false, "is a socket"},
		{"a linked .git/hooks", linked, false, "symbolic link"},
		{"a linked .claude", linkedParent, false, "symbolic link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := OpenWorkspace(c.path, Policy{Force: c.force, Hidden: []string{state}, Getenv: getenv})
			if err == nil {
				w.Close()
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v; wanted %q", err, c.want)
			}
		})
	}
}

func symlink(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

// TestPlaceholders: they come, are shared, and go with the last.
func TestPlaceholders(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, ".idea"))
	before := listing(t, dir)
	first := openWorkspace(t, dir, Policy{})
	second := openWorkspace(t, dir, Policy{})
	for _, f := range []string{".git", ".vscode", ".envrc"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Error(err)
		}
	}
	if got, want := strings.Join(second.Covered(), " "), strings.Join(first.Covered(), " "); got != want {
		t.Errorf("the second covers %s, want %s", got, want)
	}
	first.Close()
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		t.Error("the first took the second's placeholders away")
	}
	second.Close()
	if after := listing(t, dir); after != before {
		t.Errorf("left %q, was %q", after, before)
	}
}

func TestDryMakesNothing(t *testing.T) {
	dir := t.TempDir()
	w := openWorkspace(t, dir, Policy{Dry: true})
	if got := listing(t, dir); strings.Count(got, "\n") != 1 || len(w.Covered()) < 10 {
		t.Errorf("made %q, covers %v", got, w.Covered())
	}
}

func TestWritableAndKeep(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "bin"))
	write(t, filepath.Join(dir, "bin/bottlerun"), "")
	w := openWorkspace(t, dir, Policy{Writable: []string{".git", ".vscode/", dir + "/.idea", "nothing"}, Keep: []string{filepath.Join(dir, "bin/bottlerun"), "/elsewhere"}})
	got := " " + strings.Join(w.Covered(), " ") + " "
	for _, f := range []string{" .git ", " .vscode "} {
		if strings.Contains(got, f) {
			t.Errorf("%s is covered: %s", f, got)
		}
	}
	if !strings.Contains(got, " bin/bottlerun ") {
		t.Errorf("our own program is not covered: %s", got)
	}
	notes := strings.Join(w.Notes(), "\n")
	if strings.Count(notes, "-writable") != 2 || !strings.Contains(notes, "-writable nothing: nothing of that name is protected") || !strings.Contains(notes, "/.idea: nothing of that name") {
		t.Errorf("what is for nothing is told as %q", notes)
	}
}

// TestBareRepository: git finds none where the agent can write one, and one that
// was there keeps its settings and hooks.
func TestBareRepository(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, ".git"))
	write(t, filepath.Join(dir, ".git/HEAD"), "ref: refs/heads/main\n")
	before := listing(t, dir)
	w := openWorkspace(t, dir, Policy{})
	if !slices.Contains(w.Covered(), "commondir") {
		t.Errorf("the agent can make the workspace a repository: %v", w.Covered())
	}
	w.Close()
	if after := listing(t, dir); after != before {
		t.Errorf("left %q, was %q", after, before)
	}
	write(t, filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
	write(t, filepath.Join(dir, "config"), "[core]\n")
	w = openWorkspace(t, dir, Policy{})
	for _, rel := range []string{"HEAD", "config", "hooks", "commondir"} {
		if !slices.Contains(w.Covered(), rel) {
			t.Errorf("%s of a bare repository is not covered: %v", rel, w.Covered())
		}
	}
}

// TestGitStops: with the placeholders in place a repository works as always, and
// what an agent makes of the workspace itself is none whose settings git obeys.
func TestGitStops(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	git := func(args ...string) (string, error) {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.test"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"init", "-q"}, {"commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := git(args...); err != nil {
			t.Fatal(out)
		}
	}
	openWorkspace(t, dir, Policy{})
	for _, args := range [][]string{{"diff", "HEAD"}, {"log", "HEAD"}, {"status", "--porcelain"}} {
		if out, err := git(args...); err != nil || args[0] == "status" && out != "" {
			t.Errorf("git %v: %v\n%s", args, err, out)
		}
	}
	if err := os.Remove(filepath.Join(dir, ".git/HEAD")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"objects", "refs/heads"} {
		mkdir(t, filepath.Join(dir, d))
	}
	write(t, filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
	write(t, filepath.Join(dir, "config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = "+dir+"\n\tfsmonitor = touch "+dir+"/ran; false\n")
	out, err := git("status")
	if _, ran := os.Stat(filepath.Join(dir, "ran")); err == nil || ran == nil {
		t.Errorf("git obeys the agent's settings: %v\n%s", err, out)
	}
}

// TestKeepLink: a link to a file that is kept could be turned to another.
func TestKeepLink(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real.yaml"), "")
	symlink(t, "real.yaml", filepath.Join(dir, "link.yaml"))
	w, err := OpenWorkspace(dir, Policy{Keep: []string{filepath.Join(dir, "link.yaml")}})
	if err == nil {
		w.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("got %v; want a refusal", err)
	}
}

// TestOthersHome: root can give away more than its own home.
func TestOthersHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	u, err := user.LookupId("0")
	if err != nil {
		t.Skip(err)
	}
	getenv := func(k string) string { return map[string]string{"HOME": "/nonexistent"}[k] }
	w, err := OpenWorkspace(u.HomeDir, Policy{Getenv: getenv, Dry: true})
	if err == nil {
		w.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "-force") {
		t.Errorf("got %v; want a refusal that names -force", err)
	}
}

func TestIdentity(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a user's sandbox has that user's identity")
	}
	dir := t.TempDir()
	env := map[string]string{}
	for _, c := range []struct {
		name     string
		sudo     [2]string
		uid, gid int
		want     identity
	}{
		{"root's own", [2]string{}, 0, 0, identity{strangerID, strangerID, true, true}},
		{"a user's", [2]string{}, 1000, 1001, identity{1000, 1001, true, false}},
		{"a user's, root's group", [2]string{}, 1000, 0, identity{1000, 1000, true, false}},
		{"sudo", [2]string{"1005", "1006"}, 1000, 1000, identity{1005, 1006, true, false}},
		{"sudo by root", [2]string{"0", "0"}, 0, 0, identity{strangerID, strangerID, true, true}},
		{"sudo, nonsense", [2]string{"x", ""}, 0, 0, identity{strangerID, strangerID, true, true}},
	} {
		env["SUDO_UID"], env["SUDO_GID"] = c.sudo[0], c.sudo[1]
		if err := os.Chown(dir, c.uid, c.gid); err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := identityFor(fi, func(k string) string { return env[k] })
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

// TestHiddenIsNotShown: the bottles' own files may be in no folder that the agent
// sees, be it the system's.
func TestHiddenIsNotShown(t *testing.T) {
	needsSandbox(t)
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "bottles"))
	for _, c := range []struct{ hidden, shown string }{
		{"/opt/bottles", ""}, {filepath.Join(dir, "bottles"), dir}, {filepath.Join(dir, "bottles"), filepath.Join(dir, "bottles")},
	} {
		cfg := config(t, newWorkspace(t, Policy{Hidden: []string{c.hidden}}), "true")
		if c.shown != "" {
			cfg.ReadOnly = []string{c.shown}
		}
		sb, err := Start(cfg)
		if err == nil {
			sb.Abandon()
		}
		if err == nil || !strings.Contains(err.Error(), "the bottles' own files in "+c.hidden) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}
