package sandbox

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// maxGitConfig bounds what is read of a .git/config.
const maxGitConfig = 1 << 20

// hooksPaths are the folders in the workspace from which .git/config has git run
// hooks instead of .git/hooks (core.hooksPath). No git is asked: it would take a
// tenth of a start. A setting of that name in another section costs no more than
// a folder that is read-only.
func (w *Workspace) hooksPaths() (list []string) {
	fd, err := beneath.Open(int(w.dir.Fd()), ".git/config", unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), ".git/config")
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, maxGitConfig))
	for line := range strings.Lines(string(text)) {
		if rel, ok := w.hooksPath(line); ok {
			list = append(list, rel)
		}
	}
	return list
}

// hooksPath reads one line of a configuration (git-config(1), "Syntax"); the
// section may stand before the name.
func (w *Workspace) hooksPath(line string) (rel string, ok bool) {
	name, value, ok := strings.Cut(line, "=")
	name = name[strings.LastIndexByte(name, ']')+1:]
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "hooksPath") {
		return "", false
	}
	value = strings.ReplaceAll(strings.TrimSpace(value), `"`, "")
	if i := strings.IndexAny(value, "#;"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(w.Path, value)
	}
	rel, err := filepath.Rel(w.Path, value)
	return rel, err == nil && rel != "." && filepath.IsLocal(rel)
}
