package sandbox

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// maxGitConfig bounds what is read of a .git/config.
const maxGitConfig = 1 << 20

// gitPaths are the paths in the workspace that .git/config sends git to: folders
// with hooks (core.hooksPath), and files with more of the configuration
// (include.path), which may name hooks as well. No git is asked: it would take a
// tenth of a start.
func (w *Workspace) gitPaths() (hooks, includes []string) {
	for _, dir := range append(w.gitElsewhere(), ".git") {
		h, i := w.gitConfig(dir + "/config")
		hooks, includes = append(hooks, h...), append(includes, i...)
	}
	for _, rel := range slices.Clone(includes) {
		more, _ := w.gitConfig(rel)
		hooks = append(hooks, more...)
	}
	return hooks, includes
}

// gitElsewhere are the folders in the workspace that its repository is in when .git is
// a file that names one, and the one that that in turn names, as of a worktree.
func (w *Workspace) gitElsewhere() (dirs []string) {
	dir := w.gitDir(".")
	if dir == ".git" {
		return nil
	}
	dirs = append(dirs, dir)
	if text, err := w.readAll(filepath.Join(dir, commondir), 4096); err == nil {
		dirs = append(dirs, w.from(dir, strings.TrimRight(string(text), "\n")))
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return dir == "." || !filepath.IsLocal(dir) })
}

// hooksPaths are the first of gitPaths.
func (w *Workspace) hooksPaths() []string {
	hooks, _ := w.gitPaths()
	return hooks
}

// gitConfig reads the lines of one file that are of interest (git-config(1),
// "Syntax").
func (w *Workspace) gitConfig(rel string) (hooks, includes []string) {
	fd, err := beneath.Open(int(w.dir.Fd()), rel, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, nil
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxGitConfig))
	section := ""
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			i := strings.LastIndexByte(line, ']') + 1 // a setting may follow
			section, line = strings.ToLower(line[:i]), line[i:]
		}
		name, value, _ := strings.Cut(line, "=")
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case name == "hookspath":
			hooks = w.appendInside(hooks, "", value)
		case name == "path" && strings.HasPrefix(section, "[include"):
			includes = w.appendInside(includes, filepath.Dir(rel), value)
		}
	}
	return hooks, includes
}

// appendInside appends the path that a setting's value is, if it lies in the
// workspace; it is relative to the folder from there.
func (w *Workspace) appendInside(list []string, from, value string) []string {
	value = strings.ReplaceAll(strings.TrimSpace(value), `"`, "")
	if i := strings.IndexAny(value, "#;"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	if strings.HasPrefix(value, "~") {
		return list // of a home
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(w.Path, from, value)
	}
	rel, err := filepath.Rel(w.Path, value)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return list
	}
	return append(list, rel)
}
