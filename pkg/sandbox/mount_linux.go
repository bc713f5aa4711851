package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The mounts are made with descriptors (open_tree(2), mount_setattr(2),
// move_mount(2); Linux 5.12): a tree gets its attributes before it is
// attached, and no path is looked up twice.

const (
	readOnly = unix.MOUNT_ATTR_RDONLY
	plain    = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	sealed   = plain | readOnly
)

// cloneTree is a detached copy of the mounts at path, seen from dir, with attr.
func cloneTree(dir int, path string, attr uint64) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err != nil {
		return -1, fmt.Errorf("open_tree: %w", err)
	}
	if err := setAttr(fd, attr); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setAttr adds attr to the tree fd and all mounts below it, and makes them private:
// the copy of a shared mount is the original's peer, and what is mounted on it in the
// sandbox would be mounted on the host as well, and stay there.
func setAttr(fd int, attr uint64) error {
	err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attr, Propagation: unix.MS_PRIVATE})
	if err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// attach puts the tree onto the file or folder that target is open on.
func attach(tree, target int) error {
	if err := unix.MoveMount(tree, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}

// openIn opens path as if root were "/": absolute symbolic links stay in it.
// For folders of the system only, where no agent writes.
func openIn(root int, path string) (int, error) {
	return unix.Openat2(root, strings.TrimPrefix(path, "/"), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
}

// place attaches tree at the path of the new root, making what is missing:
// a folder, or a file when the tree is one.
func place(tree int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = makeDirs(path)
	} else {
		err = makeFile(path)
	}
	if err != nil {
		return err
	}
	target, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(target)
	return attach(tree, target)
}

func makeDirs(path string) error {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if err := unix.Mkdir(path[:i], 0o755); err != nil && err != unix.EEXIST && err != unix.EROFS {
			return fmt.Errorf("mkdir %s: %w", path[:i], err)
		}
	}
	return nil
}

func makeFile(path string) error {
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	return writeFile(path, nil, 0o444)
}

// writeFile makes path with data unless it is there.
func writeFile(path string, data []byte, mode uint32) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
	if err == unix.EEXIST || err == unix.EROFS {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(fd)
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		data = data[n:]
	}
	return nil
}

// inodeBytes is the room of a tmpfs for each of its files. Without a limit it
// takes as many as half the machine's pages, empty ones too, and an empty file is
// a kilobyte of the kernel's memory.
const inodeBytes = 2 << 10

// fileFrom makes path with what the open file from holds.
func fileFrom(path string, from int, mode uint32) error {
	to, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, mode)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(to)
	for at := int64(0); ; {
		n, err := unix.Sendfile(to, from, &at, 1<<20)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err == nil && n == 0 {
			return nil
		}
	}
}

// mountTmpfs mounts a new tmpfs at path, which it makes. Its files belong to
// the agent's identity, as that is who _init is.
func mountTmpfs(path string, mode uint32, bytes uint64, flags uintptr) error {
	if err := makeDirs(path); err != nil {
		return err
	}
	data := fmt.Sprintf("mode=%04o,size=%d,nr_inodes=%d", mode, bytes, max(bytes/inodeBytes, 1024))
	if err := unix.Mount("tmpfs", path, "tmpfs", flags|unix.MS_NOSUID, data); err != nil {
		return fmt.Errorf("tmpfs on %s: %w", path, err)
	}
	return nil
}

// sealPath makes the mount at path read-only, and those below it if all.
func sealPath(path string, all bool) error {
	flags := uint(0)
	if all {
		flags = unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &unix.MountAttr{Attr_set: sealed}); err != nil {
		return fmt.Errorf("%s read-only: %w", path, err)
	}
	return nil
}
