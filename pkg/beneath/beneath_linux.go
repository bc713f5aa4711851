package beneath

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Open opens rel below dir and follows no symbolic link in any part of it
// (openat2(2)): an earlier agent may have planted one.
func Open(dir int, rel string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, rel, &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// Lstat is lstat(2) of rel below dir; only its last part may be a link.
func Lstat(dir int, rel string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if !strings.Contains(rel, "/") { // nothing on the way
		err := unix.Fstatat(dir, rel, &st, unix.AT_SYMLINK_NOFOLLOW)
		return st, err
	}
	parent, err := Open(dir, filepath.Dir(rel), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return st, err
	}
	defer unix.Close(parent)
	err = unix.Fstatat(parent, filepath.Base(rel), &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}
