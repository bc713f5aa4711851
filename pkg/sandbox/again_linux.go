package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// A path that the host replaces or removes takes the mount with it that covered
// it inside (detach_mounts in the kernel): "git config" alone writes a new
// .git/config and renames it over the old. Process 1 has no right any more to
// mount another; the launcher has, as the owner of the sandbox's user namespace.
// A child of it enters the sandbox's namespaces and covers what is not covered.

// kinds of a coverItem.
const (
	pinned = iota
	kept
	masked
)

// A coverItem is a path below the workspace, and what is mounted on it.
type coverItem struct {
	name string
	rel  *byte
	kind int
}

// again is what the child needs; all is there before the fork, after which
// nothing may be allocated.
type again struct {
	user, mnt          *os.File // the sandbox's namespaces
	dir                *os.File // the workspace there
	items              []coverItem
	emptyFile, emptyIn *byte
	states             map[string]coverState // as look has seen them
}

// newAgain is for the sandbox of process pid with the workspace w. The agent does
// not run yet: later the way to the workspace may be another.
func newAgain(pid int, w *Workspace) (*again, error) {
	a := &again{states: map[string]coverState{}}
	for _, open := range []struct {
		to    **os.File
		path  string
		flags int
	}{
		{&a.user, "/ns/user", unix.O_RDONLY},
		{&a.mnt, "/ns/mnt", unix.O_RDONLY},
		{&a.dir, "/root" + w.Path, unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW},
	} {
		f, err := os.OpenFile(fmt.Sprintf("/proc/%d%s", pid, open.path), open.flags, 0)
		if err != nil {
			a.close()
			return nil, fmt.Errorf("watching over protected paths: %w", err)
		}
		*open.to = f
	}
	var err error
	bytes := func(s string) *byte {
		p, bad := unix.BytePtrFromString(s)
		if bad != nil {
			err = bad
		}
		return p
	}
	a.emptyFile, a.emptyIn = bytes("/.empty/file"), bytes("/.empty/dir")
	done := map[string]bool{}
	add := func(rel string, kind int) {
		if !done[rel] {
			done[rel] = true
			a.items = append(a.items, coverItem{rel, bytes(rel), kind})
		}
	}
	for kind, list := range [][]string{kept: w.covered, masked: w.masked} {
		for _, rel := range list {
			for _, dir := range above(rel) {
				add(dir, pinned)
			}
			add(rel, kind)
		}
	}
	return a, err
}

// above are the folders on the way to rel, from the top.
func above(rel string) (dirs []string) {
	for dir := filepath.Dir(rel); dir != "."; dir = filepath.Dir(dir) {
		dirs = append([]string{dir}, dirs...)
	}
	return dirs
}

func (a *again) close() {
	for _, f := range []*os.File{a.user, a.mnt, a.dir} {
		if f != nil {
			f.Close()
		}
	}
}

// A coverState is what lies on a path, as far as it can be seen from outside: by the
// number of a mount, which no later one has again (Linux 6.8), and the file.
type coverState struct{ mount, inode uint64 }

// look reports which paths have changed since it was called last, and whether one of
// all is not covered.
func (a *again) look() (changed []string, bare bool) {
	for _, item := range a.items {
		now, covered, err := a.stateOf(item.name)
		if err == unix.ENOENT {
			continue
		}
		if !covered {
			bare = true
		}
		if was, seen := a.states[item.name]; !covered || seen && was != now {
			changed = append(changed, item.name)
		}
		a.states[item.name] = now
	}
	return changed, bare
}

// stateOf is that of one path; a link, which the child refuses, is not covered.
func (a *again) stateOf(name string) (now coverState, covered bool, err error) {
	fd, err := beneath.Open(int(a.dir.Fd()), name, unix.O_PATH)
	if err != nil {
		return now, false, err
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return now, false, err
	}
	return coverState{st.Mnt_id, st.Ino}, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// cover covers what is not, and returns how much that was.
func (a *again) cover() (n int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	// The child must run none of the runtime's signal handlers.
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, &old); err != nil {
		return 0, err
	}
	pid, e := a.fork(a.user.Fd(), a.mnt.Fd(), a.dir.Fd())
	unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	runtime.KeepAlive(a)
	if e != 0 {
		return 0, fmt.Errorf("covering paths again: fork: %w", e)
	}
	var ws unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &ws, 0, nil); err != unix.EINTR {
			break
		}
	}
	if err == nil && (!ws.Exited() || ws.ExitStatus() >= failed) {
		err = fmt.Errorf("a protected path that was replaced meanwhile cannot be protected again (step %d); a link, perhaps", ws.ExitStatus()-failed)
	}
	return ws.ExitStatus(), err
}

// failed is the first exit status that says at which step the child has failed.
const failed = 200

// fork starts the child, which is all of the rest of it: like the syscall
// package's own, it must not call anything that may grow the stack.
//
//go:noinline
//go:norace
//go:nocheckptr
func (a *again) fork(user, mnt, dir uintptr) (int, unix.Errno) {
	var (
		how      = unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
		attr     = unix.MountAttr{}
		st       unix.Statx_t
		here     = ^uintptr(99) // AT_FDCWD
		nothing  = new(byte)
		count    uintptr
		step     uintptr
		fd, tree uintptr
		from     uintptr
		path     *byte
		items    = a.items
	)
	const whole = unix.AT_EMPTY_PATH | unix.AT_RECURSIVE
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 || pid != 0 {
		return int(pid), e
	}
	if _, _, e = unix.RawSyscall(unix.SYS_SETNS, user, unix.CLONE_NEWUSER, 0); e != 0 {
		goto exit
	}
	step = 1
	if _, _, e = unix.RawSyscall(unix.SYS_SETNS, mnt, unix.CLONE_NEWNS, 0); e != 0 {
		goto exit
	}
	for i := range items {
		step = 3
		if fd, _, e = unix.RawSyscall6(unix.SYS_OPENAT2, dir, uintptr(unsafe.Pointer(items[i].rel)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0); e == unix.ENOENT {
			continue
		}
		if e != 0 {
			goto exit
		}
		step = 4
		if _, _, e = unix.RawSyscall6(unix.SYS_STATX, fd, uintptr(unsafe.Pointer(nothing)), unix.AT_EMPTY_PATH, unix.STATX_TYPE, uintptr(unsafe.Pointer(&st)), 0); e != 0 {
			goto exit
		}
		if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 {
			from, path, attr.Attr_set = fd, nothing, sealed
			if items[i].kind == pinned {
				attr.Attr_set = plain
			}
			if items[i].kind == masked {
				from, path = here, a.emptyFile
				if st.Mode&unix.S_IFMT == unix.S_IFDIR {
					path = a.emptyIn
				}
			}
			step = 5
			if tree, _, e = unix.RawSyscall(unix.SYS_OPEN_TREE, from, uintptr(unsafe.Pointer(path)), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|whole); e != 0 {
				goto exit
			}
			step = 6
			if _, _, e = unix.RawSyscall6(unix.SYS_MOUNT_SETATTR, tree, uintptr(unsafe.Pointer(nothing)), whole, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0); e != 0 {
				goto exit
			}
			step = 7
			_, _, e = unix.RawSyscall6(unix.SYS_MOVE_MOUNT, tree, uintptr(unsafe.Pointer(nothing)), fd, uintptr(unsafe.Pointer(nothing)),
				unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH, 0)
			if e != 0 && e != unix.ENOENT { // it is gone again, and what comes is an event, too
				goto exit
			}
			unix.RawSyscall(unix.SYS_CLOSE, tree, 0, 0)
			if e == 0 && count < failed-1 {
				count++
			}
		}
		unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, count, 0, 0)
	}
exit:
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, failed+step, 0, 0)
	}
}
