package sandbox

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A watched is a sandbox whose agent waits for a word, and then runs a script.
type watched struct {
	t   *testing.T
	dir string
	sb  *Sandbox
	in  *os.File
	out bytes.Buffer
}

func newWatched(t *testing.T, script string, files map[string]string) *watched {
	t.Helper()
	needsSandbox(t)
	w := &watched{t: t, dir: t.TempDir()}
	for name, text := range files {
		mkdir(t, filepath.Dir(filepath.Join(w.dir, name)))
		write(t, filepath.Join(w.dir, name), text)
	}
	r, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	cfg := config(t, openWorkspace(t, w.dir, Policy{}), "sh", "-c", "read go\n"+script)
	cfg.Stdin, cfg.Stdout, cfg.Stderr = r, &w.out, os.Stderr
	w.in = in
	if w.sb, err = Start(cfg); err == nil {
		err = w.sb.Go(Check{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sb.Kill)
	return w
}

// covered waits until all of the paths are mount points again inside.
func (w *watched) covered() {
	w.t.Helper()
	eventually(w.t, "covered again", func() bool {
		w.sb.guard.mu.Lock()
		defer w.sb.guard.mu.Unlock()
		return !w.sb.guard.changes()
	})
}

// watched waits until inotify is asked.
func (w *watched) watched() {
	w.t.Helper()
	eventually(w.t, "the watch", func() bool {
		w.sb.guard.mu.Lock()
		defer w.sb.guard.mu.Unlock()
		return w.sb.guard.watch != nil
	})
}

func (w *watched) end() string {
	w.t.Helper()
	if _, err := w.in.WriteString("go\n"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.sb.Wait(); err != nil {
		w.t.Fatal(err)
	}
	return w.out.String()
}

// attempts are at what the host has replaced.
const attempts = `for f in .git/config .git/hooks/x .envrc .idea/x .claude/settings.json; do (echo evil >>$f) 2>/dev/null && echo "wrote $f"; done
cat .env; mv .git away 2>/dev/null && echo moved; exit 0`

// replaceAll does what git, editors and people do to files.
func replaceAll(t *testing.T, dir string) {
	t.Helper()
	for _, step := range []string{
		"echo new >.git/config.new && mv .git/config.new .git/config", // not git itself: see gitConfigLock
		"rmdir .envrc", "rm -r .idea", // git clean -fd
		"echo SECRET >.env.tmp && mv .env.tmp .env",
		"mkdir new && echo {} >new/settings.json && mv .claude old && mv -T new .claude",
		"mkdir new && mv .git/hooks .git/h && mv -T new .git/hooks",
	} {
		cmd := exec.Command("sh", "-c", step)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, out)
		}
	}
}

var watchedFiles = map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/config": "[core]\n", ".git/hooks/x": "", ".idea/x": "", ".env": "SECRET\n", ".claude/settings.json": "{}\n"}

// TestReplacedOnTheHost: the kernel takes a cover away with the file that the host
// replaces, and it comes again.
func TestReplacedOnTheHost(t *testing.T) {
	w := newWatched(t, attempts, watchedFiles)
	replaceAll(t, w.dir)
	w.covered()
	if out := w.end(); out != "" {
		t.Errorf("the agent: %s", out)
	}
	got := strings.Join(w.sb.Replaced(), " ")
	for _, rel := range []string{".git/config", ".git/hooks", ".env", ".claude"} {
		if !strings.Contains(got, rel) {
			t.Errorf("replaced: %s; wanted %s among them", got, rel)
		}
	}
	if strings.Contains(got, ".envrc") {
		t.Errorf("replaced: %s; a placeholder is one again", got)
	}
}

// TestReplacedWithoutInotify: of which a user has 128, and a hundred bottles.
func TestReplacedWithoutInotify(t *testing.T) {
	w := newWatched(t, attempts, watchedFiles)
	w.watched()
	w.sb.guard.watch.Close() // which ends it
	eventually(t, "the end of the guard", func() bool { return w.sb.lost() != ErrLost })
	if _, err := w.sb.Wait(); !errors.Is(err, ErrLost) {
		t.Errorf("a sandbox without a guard went on: %v", err)
	}
	w = newWatched(t, attempts, watchedFiles)
	go w.sb.guard.poll(closely, 0)
	replaceAll(t, w.dir)
	w.covered()
	if out := w.end(); out != "" {
		t.Errorf("the agent: %s", out)
	}
}

// TestReplacedByALink: what cannot be covered ends the sandbox, and says so.
func TestReplacedByALink(t *testing.T) {
	w := newWatched(t, "sleep 60", watchedFiles)
	if err := os.Remove(filepath.Join(w.dir, ".git/config")); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(w.dir, ".git/config")) // the placeholder, if it was quicker
	for os.Symlink("/tmp/evil", filepath.Join(w.dir, ".git/config")) != nil {
		os.Remove(filepath.Join(w.dir, ".git/config"))
	}
	if _, err := w.sb.Wait(); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "cannot be protected again") {
		t.Errorf("got %v", err)
	}
}
