package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A socket in a folder that the agent sees connects to whoever listens on it
// outside (docker, an ssh agent, an editor's server), also where the mount is
// read-only: connect(2) changes no file.

// maxEntries bounds the search for sockets.
const maxEntries = 4 << 20

// socketDirs are the shown folders of the system in which programs that no
// package manager installed keep their sockets, too.
var socketDirs = []string{"/etc", "/opt", "/usr/local"}

// socketsIn lists the sockets below root, root included. Symbolic links are not
// followed; a folder that cannot be read is closed to the agent as well.
func socketsIn(root string) (found []string, err error) {
	entries := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSocket != 0 {
			found = append(found, path)
		}
		if entries++; entries > maxEntries {
			return fmt.Errorf("%s: more than %d files, too many to look for sockets among them; wanted a smaller folder", root, maxEntries)
		}
		return nil
	})
	return found, err
}

// refuseSockets refuses a folder with sockets in it; what says what it is.
func refuseSockets(what, root string) error {
	found, err := socketsIn(root)
	if err != nil {
		return fmt.Errorf("%s %w", what, err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%s %s: %q is a socket, and what listens on it runs outside the bottle\nhint: stop that program or remove the socket", what, root, found[0])
	}
	return nil
}

// systemSockets lists those that hideSockets has to cover.
func systemSockets() ([]string, error) {
	var list []string
	for _, dir := range socketDirs {
		real, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := socketsIn(real)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			list = append(list, dir+strings.TrimPrefix(p, real)) // as it is shown inside
		}
	}
	return list, nil
}

// hideSockets covers the system's sockets with an empty file. A folder that is
// closed to _init is closed to the agent.
func hideSockets(s *spec) error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	for _, p := range s.Sockets {
		if err := cover(root, p, "/.empty/file"); err != nil && !errors.Is(err, unix.EACCES) {
			return err
		}
	}
	return nil
}
