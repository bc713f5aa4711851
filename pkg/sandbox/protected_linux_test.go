package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestHooksPath: the folder that git takes hooks from is covered, there or not,
// and goes again when it was not.
func TestHooksPath(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, ".git"))
	write(t, filepath.Join(dir, ".git/config"), "")
	without := openWorkspace(t, dir, Policy{})
	without.Close()
	for setting, want := range map[string]string{
		"[core]\n\thooksPath = .githooks\n":                ".githooks",
		"[core] HOOKSPATH=\"tools/git hooks\" ; a comment": "tools",
		"[core]\n\thookspath = " + dir + "/a # absolute\n": "a",
		"[core]\n\thooksPath = .husky/_\n":                 ".husky",
		"[core]\n\thooksPath = /elsewhere\n":               "",
		"[core]\n\thooksPath = ../out\n":                   "",
		"[core]\n\thooksPath = .\n":                        "",
	} {
		write(t, filepath.Join(dir, ".git/config"), setting)
		before := listing(t, dir)
		w := openWorkspace(t, dir, Policy{})
		got := w.Covered()
		if want == "" && !slices.Equal(got, without.Covered()) || want != "" && !slices.Contains(got, want) || slices.Contains(got, ".husky/_") {
			t.Errorf("%q: covers %v; wanted %q", setting, got, want)
		}
		w.Close()
		if after := listing(t, dir); after != before {
			t.Errorf("%q: left %q, was %q", setting, after, before)
		}
	}
}

// TestHooksPathOfGit: what git writes is read.
func TestHooksPathOfGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"config", "core.hooksPath", `ci/ho"oks`}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if w := openWorkspace(t, dir, Policy{}); !slices.Contains(w.Covered(), "ci") {
		t.Errorf("covered: %v", w.Covered())
	}
}

// TestGitIncludes: a file with more of git's configuration is one itself.
func TestGitIncludes(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, ".git"))
	write(t, filepath.Join(dir, ".git/config"), "[include]\n\tpath = ../.gitconfig\n[includeIf \"onbranch:x\"] path = more.inc\n[submodule \"s\"]\n\tpath = sub\n[include]\n\tpath = ~/.mine\n")
	write(t, filepath.Join(dir, ".gitconfig"), "[core]\n\thooksPath = ci\n")
	mkdir(t, filepath.Join(dir, "sub"))
	w := openWorkspace(t, dir, Policy{})
	for _, rel := range []string{".gitconfig", "ci"} {
		if !slices.Contains(w.Covered(), rel) {
			t.Errorf("%s is not covered: %v", rel, w.Covered())
		}
	}
	if slices.Contains(w.Covered(), "sub") || !slices.Contains(w.Missing(), ".git/more.inc") || slices.Contains(w.Missing(), ".git/~/.mine") {
		t.Errorf("covered %v, missing %v", w.Covered(), w.Missing())
	}
	w.Close()
	if _, err := os.Stat(filepath.Join(dir, "ci")); err == nil {
		t.Error("a placeholder is left")
	}
}

// TestPlanted: what has no placeholder is named once an agent has made it, and
// Mercurial's is covered in a repository of it alone.
func TestPlanted(t *testing.T) {
	dir := t.TempDir()
	w := openWorkspace(t, dir, Policy{Writable: []string{".exrc"}})
	if slices.Contains(w.Covered(), mercurial) || slices.Contains(w.Missing(), ".exrc") || len(w.Planted()) != 0 {
		t.Errorf("covered %v, missing %v, planted %v", w.Covered(), w.Missing(), w.Planted())
	}
	mkdir(t, filepath.Join(dir, mercurial))
	for _, f := range []string{"opencode.json", ".exrc", ".hg/hgrc"} {
		write(t, filepath.Join(dir, f), "")
	}
	if got := w.Planted(); !slices.Equal(got, []string{"opencode.json", ".hg/hgrc"}) {
		t.Errorf("planted: %v", got)
	}
	w.Close()
	before := listing(t, dir)
	w = openWorkspace(t, dir, Policy{})
	for _, rel := range []string{"opencode.json", ".exrc", ".hg/hgrc", ".hg/sharedpath"} {
		if !slices.Contains(w.Covered(), rel) {
			t.Errorf("%s is not covered: %v", rel, w.Covered())
		}
	}
	if w.Close(); listing(t, dir) != before {
		t.Errorf("left: %s", listing(t, dir))
	}
}

// TestSwaps: a file that is another one, and a placeholder that is none any more.
func TestSwaps(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{".git/config", ".git/hooks/x", ".env"} {
		mkdir(t, filepath.Dir(filepath.Join(dir, f)))
		write(t, filepath.Join(dir, f), "")
	}
	swaps := openWorkspace(t, dir, Policy{}).Swaps()
	write(t, filepath.Join(dir, ".env"), "written")
	if got := swaps(); len(got) != 0 {
		t.Errorf("swapped: %v", got)
	}
	for _, f := range []string{".git/config", ".envrc"} {
		write(t, filepath.Join(dir, "new"), "")
		os.Remove(filepath.Join(dir, f))
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, ".idea")); err != nil {
		t.Fatal(err)
	}
	if got := swaps(); !slices.Equal(got, []string{".envrc", ".git/config"}) {
		t.Errorf("swapped: %v", got)
	}
}

// TestGitElsewhere: a repository in another folder of the workspace is protected as
// .git is, named in whatever way.
func TestGitElsewhere(t *testing.T) {
	for _, c := range []struct{ git, common, want string }{
		{"gitdir: .bare\n", "", ".bare/config .bare/hooks"},
		{"gitdir: ./.bare", "", ".bare/config .bare/hooks"},
		{"gitdir: DIR/.bare\n", "", ".bare/config .bare/hooks"},
		{"gitdir: main/worktrees/x\n", "../..\n", "main/config main/hooks main/worktrees/x/commondir"},
		{"gitdir: ../other\n", "", ".git"},
		{"gitdir: /etc\n", "", ".git"},
	} {
		dir := t.TempDir()
		lay(t, dir, map[string]string{".git": strings.ReplaceAll(c.git, "DIR", dir), ".bare/HEAD": "x", ".bare/config": "x", "main/config": "x", "main/HEAD": "x", "main/worktrees/x/HEAD": "x"})
		if c.common != "" {
			write(t, filepath.Join(dir, "main/worktrees/x/commondir"), c.common)
		}
		before := listing(t, dir)
		w := openWorkspace(t, dir, Policy{})
		for _, rel := range strings.Fields(c.want + " .git") {
			if !slices.Contains(w.Covered(), rel) {
				t.Errorf("%q: covered %q, want %s", c.git, w.Covered(), rel)
			}
		}
		w.Close()
		if after := listing(t, dir); after != before {
			t.Errorf("%q: left %q, was %q", c.git, after, before)
		}
	}
}

// TestPlaceholderOfBefore: the configuration named another folder for hooks when the
// bottle started, and its placeholder goes all the same.
func TestPlaceholderOfBefore(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{".git/HEAD": "x", ".git/config": "[core]\n\thooksPath = old\n"})
	w := openWorkspace(t, dir, Policy{})
	write(t, filepath.Join(dir, ".git/config"), "[core]\n")
	if _, err := os.Lstat(filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if after := listing(t, dir); strings.Contains(after, "old") {
		t.Errorf("left %q", after)
	}
}
