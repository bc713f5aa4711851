package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
		return socketRefusal(what, root, found[0])
	}
	return nil
}

func socketRefusal(what, root, socket string) error {
	return fmt.Errorf("%s %s: %q is a socket, and what listens on it runs outside the bottle\nhint: stop that program or remove the socket", what, root, socket)
}

// layerSystem puts a layer over each of socketDirs: an overlay without an upper
// folder, whose sockets are files of its own that nobody listens on, whoever makes
// one below it and whenever. It costs a mount, where looking through the folders
// costs tens of milliseconds. What lies on other mounts below would not be seen
// through it: such a folder, or a kernel that refuses, has the sockets looked for.
func layerSystem(s *spec) error {
	if err := makeDirs("/.empty/dir"); err != nil {
		return err
	}
	mounts := readSetting("/proc/self/mountinfo")
	for _, dir := range socketDirs {
		if layer(dir, mounts) == nil {
			continue
		}
		found, err := systemSockets(dir)
		if err != nil {
			return err
		}
		s.Sockets = append(s.Sockets, found...)
	}
	return nil
}

var errNoLayer = errors.New("it has mounts below it, or is no folder of its own")

// layer mounts the overlay over dir. mounts is the host's mountinfo (proc(5)).
func layer(dir, mounts string) error {
	var st unix.Stat_t
	if err := unix.Lstat(host+dir, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return errNoLayer
	}
	if mounts == "" || strings.Contains(mounts, " "+host+dir+"/") {
		return errNoLayer
	}
	data := "lowerdir=" + host + dir + ":/.empty/dir"
	return unix.Mount("overlay", dir, "overlay", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, data)
}

// systemSockets lists those below the host's dir that hideSockets has to cover,
// as they are shown inside.
func systemSockets(dir string) ([]string, error) {
	root, err := unix.Open(host, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := openIn(root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	real, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, err
	}
	found, err := socketsIn(real)
	for i := range found {
		found[i] = dir + strings.TrimPrefix(found[i], real)
	}
	return found, err
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
