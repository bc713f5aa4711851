package sandbox

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// A launcher that is root opens what the sandbox is to see itself: the agent's
// identity may not reach a path below root's home. A detached mount goes in as
// a descriptor; _init, privileged in its own namespaces, attaches it.

// rootTree is a detached mount, with attr, of what f is open on.
func rootTree(f *os.File, attr uint64) (*os.File, error) {
	fd, err := cloneTree(int(f.Fd()), "", attr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// mapRoot makes root's files in the tree belong to the image of root in the
// user namespace idmap (mount_setattr(2), "ID-mapped mounts").
func mapRoot(tree, idmap *os.File) error {
	err := unix.MountSetattr(int(tree.Fd()), "", unix.AT_EMPTY_PATH, &unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(idmap.Fd()),
	})
	if err != nil {
		return fmt.Errorf("workspace %s belongs to root, and its file system cannot show it as another user's (%w)\n"+
			"hint: chown it to the user who is to work in it, or start bottlerun as that user", tree.Name(), err)
	}
	return nil
}

// rootIdmap is a user namespace that shows files of user and group 0 as those
// of strangerID, and what strangerID makes as root's on disk. All other ids
// below it stay what they are: not the agent's. That root owns what an agent
// wrote is safe only because the filter keeps set-user-ID bits off it.
func rootIdmap() (*os.File, error) {
	ids := []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: strangerID, Size: 1},
		{ContainerID: 1, HostID: 1, Size: strangerID - 1},
	}
	cmd := exec.Command("/proc/self/exe", stageHold)
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	done, err := StartTied(cmd)
	if err != nil {
		return nil, fmt.Errorf("user namespace for the workspace: %w", err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	cmd.Process.Kill() // before it has got as far as to wait, mostly
	<-done
	return ns, err
}

// holdMain is the stage _hold: it keeps its user namespace until it is killed.
func holdMain() int {
	io.Copy(io.Discard, os.Stdin)
	return 0
}
