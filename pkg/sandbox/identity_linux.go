package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is who the agent is on the host, under the same numbers inside.
type identity struct {
	UID, GID int
	Root     bool // the launcher is root and becomes this identity
	Mapped   bool // the workspace is root's and is shown through an idmapped mount
}

// strangerID is the agent when root starts a bottle on root's own workspace.
// It lies outside every range that something else hands out: system and human
// users (< 60000), systemd's dynamic users and nobody (61184-65534), useradd's
// subordinate ids and systemd's containers (100000-1879048191). So it owns no
// file and no process. Not 65534: the kernel shows every id that a namespace
// does not map as that one, and NFS squashes root to it.
const strangerID = 1900000000

// identityFor chooses the agent's identity. A user's bottle runs as that user.
// One started by root never runs as root: it takes the user behind sudo, else
// the owner of the workspace, else strangerID.
func identityFor(workspace fs.FileInfo, getenv func(string) string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{UID: os.Geteuid(), GID: os.Getegid()}, nil
	}
	if getenv != nil {
		if uid, err := strconv.Atoi(getenv("SUDO_UID")); err == nil && uid > 0 {
			gid, _ := strconv.Atoi(getenv("SUDO_GID"))
			return identity{UID: uid, GID: notRoot(gid, uid), Root: true}, nil
		}
	}
	st, ok := workspace.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, fmt.Errorf("workspace %s: its owner is not known", workspace.Name())
	}
	if st.Uid != 0 {
		return identity{UID: int(st.Uid), GID: notRoot(int(st.Gid), int(st.Uid)), Root: true}, nil
	}
	return identity{UID: strangerID, GID: strangerID, Root: true, Mapped: true}, nil
}

// notRoot keeps the agent out of root's group, which may read files like
// /etc/sudoers.
func notRoot(gid, uid int) int {
	if gid > 0 {
		return gid
	}
	return uid
}

// note tells the operator where the choice may surprise.
func (id identity) note(path string, workspace fs.FileInfo) string {
	st, ok := workspace.Sys().(*syscall.Stat_t)
	if !ok || !id.Root || id.Mapped || int(st.Uid) == id.UID {
		return ""
	}
	return fmt.Sprintf("the agent runs as uid %d, which does not own the workspace %s (uid %d does)", id.UID, path, st.Uid)
}

// mapping is the identity's line of uid_map or gid_map: one id, the same number
// on both sides, so that names in the host's /etc/passwd stay right inside.
func mapping(id int) []syscall.SysProcIDMap {
	return []syscall.SysProcIDMap{{ContainerID: id, HostID: id, Size: 1}}
}

// give makes pipes the agent's, which opens them again as /dev/stdout: of a
// launcher that is root they are root's.
func (id identity) give(pipes []*os.File) error {
	if !id.Root {
		return nil
	}
	for _, f := range pipes {
		if err := f.Chown(id.UID, id.GID); err != nil {
			return err
		}
	}
	return nil
}

// namespaces are what every sandbox has of its own.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// cloneAttr starts a process in new namespaces as id, with the capabilities
// that building the sandbox takes. They are ambient, so that they survive the
// execution of our own file without a uid 0 inside (capabilities(7)); outside
// the new user namespace they mean nothing.
func (id identity) cloneAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:                 namespaces,
		UidMappings:                mapping(id.UID),
		GidMappings:                mapping(id.GID),
		GidMappingsEnableSetgroups: id.Root, // root's groups are dropped: Groups is empty
		Credential:                 &syscall.Credential{Uid: uint32(id.UID), Gid: uint32(id.GID), NoSetGroups: !id.Root},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP,
			unix.CAP_SYS_CHROOT, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_RESOURCE},
		Setsid: true, // the operator's terminal is not the agent's
	}
}
