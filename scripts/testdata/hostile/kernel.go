package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keyrings are not namespaced: the session's may be the operator's.
func (h *hostile) keyrings() {
	const session = ^uintptr(2) // KEY_SPEC_SESSION_KEYRING
	h.refused("add_key", call(unix.SYS_ADD_KEY, text("user"), text("x"), text("y"), 1, session), unix.EPERM)
	h.refused("request_key", call(unix.SYS_REQUEST_KEY, text("user"), text("bottle-hostile"), 0, 0), unix.EPERM)
	var secret [64]byte
	for name, args := range map[string][]uintptr{
		"read the operator's key": {unix.KEYCTL_READ, uintptr(h.Key), uintptr(unsafe.Pointer(&secret)), uintptr(len(secret))},
		"describe it":             {unix.KEYCTL_DESCRIBE, uintptr(h.Key), uintptr(unsafe.Pointer(&secret)), uintptr(len(secret))},
		"its session keyring":     {unix.KEYCTL_GET_KEYRING_ID, session, 0},
		"search that":             {unix.KEYCTL_SEARCH, session, text("user"), text("bottle-hostile"), 0},
		"join one by its name":    {unix.KEYCTL_JOIN_SESSION_KEYRING, text("_ses")},
		"link it":                 {unix.KEYCTL_LINK, uintptr(h.Key), session},
	} {
		h.refused(name, call(unix.SYS_KEYCTL, args...), unix.EPERM)
	}
	data, err := os.ReadFile("/proc/keys")
	h.holds("/proc/keys lists some", err != nil || len(data) == 0, string(data))
}

// kernel: parts of it that no tool of an agent needs.
func (h *hostile) kernel() {
	for name, nr := range map[string]uintptr{"io_uring_setup": unix.SYS_IO_URING_SETUP, "io_uring_enter": unix.SYS_IO_URING_ENTER,
		"io_uring_register": unix.SYS_IO_URING_REGISTER, "openat2": unix.SYS_OPENAT2, "clone3": unix.SYS_CLONE3} {
		h.refused(name, call(nr, 8, text(strings.Repeat("\x00", 256))), unix.ENOSYS)
	}
	for name, args := range map[string][]uintptr{
		"bpf":                          {unix.SYS_BPF, 0, 0, 0},
		"perf_event_open":              {unix.SYS_PERF_EVENT_OPEN},
		"userfaultfd":                  {unix.SYS_USERFAULTFD, 1},
		"fanotify_init":                {unix.SYS_FANOTIFY_INIT, 0, 0},
		"lookup_dcookie":               {unix.SYS_LOOKUP_DCOOKIE},
		"init_module":                  {unix.SYS_INIT_MODULE},
		"finit_module":                 {unix.SYS_FINIT_MODULE},
		"delete_module":                {unix.SYS_DELETE_MODULE, text("x"), 0},
		"kexec_load":                   {unix.SYS_KEXEC_LOAD},
		"kexec_file_load":              {unix.SYS_KEXEC_FILE_LOAD},
		"reboot":                       {unix.SYS_REBOOT},
		"syslog":                       {unix.SYS_SYSLOG, 10},
		"quotactl":                     {unix.SYS_QUOTACTL, 0x800007 << 8, 0, 0, 0},
		"quotactl_fd":                  {unix.SYS_QUOTACTL_FD, 0, 0, 0, 0},
		"swapon":                       {unix.SYS_SWAPON, text("/tmp/swap"), 0},
		"swapoff":                      {unix.SYS_SWAPOFF, text("/tmp/swap")},
		"acct":                         {unix.SYS_ACCT, text("/tmp/acct")},
		"settimeofday":                 {unix.SYS_SETTIMEOFDAY, text(strings.Repeat("\x00", 16)), 0},
		"clock_settime":                {unix.SYS_CLOCK_SETTIME, 0, text(strings.Repeat("\x00", 16))},
		"adjtimex":                     {unix.SYS_ADJTIMEX, text("\x01" + strings.Repeat("\x00", 256))},
		"sethostname":                  {unix.SYS_SETHOSTNAME, text("x"), 1},
		"setdomainname":                {unix.SYS_SETDOMAINNAME, text("x"), 1},
		"vhangup":                      {unix.SYS_VHANGUP},
		"nfsservctl":                   {unix.SYS_NFSSERVCTL},
		"open_by_handle_at":            {unix.SYS_OPEN_BY_HANDLE_AT},
		"kcmp":                         {unix.SYS_KCMP, 1, 1, 0, 0, 0},
		"another system's personality": {unix.SYS_PERSONALITY, 0x0001 | 0x4000000},
		"read implies exec":            {unix.SYS_PERSONALITY, 0x0400000},
	} {
		h.refused(name, call(args[0], args[1:]...), unix.EPERM, unix.ENOSYS)
	}
	h.refused("a real-time schedule", call(unix.SYS_SCHED_SETSCHEDULER, 0, 1, text("\x63\x00\x00\x00")), unix.EPERM)
	h.refused("a higher priority", unix.Setpriority(unix.PRIO_PROCESS, 0, -20), unix.EACCES, unix.EPERM)
	h.legacyKernel()
}

// architectures: the same calls by other numbers, past a filter that does not
// look.
func (h *hostile) architectures() {
	for _, name := range []string{"foreign", "x32"} {
		status, said := again(name)
		h.holds(name, status.Signaled(), fmt.Sprint(status, " ", said))
	}
}

// namespaces: new ones are a kernel's surface, others' a way out.
func (h *hostile) namespaces() {
	flags := map[string]uintptr{"user": unix.CLONE_NEWUSER, "net": unix.CLONE_NEWNET, "mnt": unix.CLONE_NEWNS,
		"pid": unix.CLONE_NEWPID, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS, "cgroup": unix.CLONE_NEWCGROUP, "time": 0x80}
	for name, flag := range flags {
		h.refused("unshare "+name, call(unix.SYS_UNSHARE, flag), unix.EPERM)
		h.refused("unshare user and "+name, call(unix.SYS_UNSHARE, flag|unix.CLONE_NEWUSER), unix.EPERM)
		if name != "time" { // whose flag is a signal's number in clone(2)
			h.refused("clone "+name, call(unix.SYS_CLONE, flag|uintptr(unix.SIGCHLD)), unix.EPERM)
		}
		fd, err := unix.Open("/proc/1/ns/"+name, unix.O_RDONLY, 0)
		h.refused("open process 1's "+name, err, unix.EACCES, unix.EPERM)
		if fd, err = unix.Open("/proc/self/ns/"+name, unix.O_RDONLY, 0); err == nil {
			h.refused("setns "+name, call(unix.SYS_SETNS, uintptr(fd), flag), unix.EPERM)
			unix.Close(fd)
		}
	}
	h.refused("clone3 user", call(unix.SYS_CLONE3, text(strings.Repeat("\x00", 88)), 88), unix.ENOSYS)
	fd, err := unix.PidfdOpen(1, 0)
	if err == nil {
		h.refused("setns by process 1's pidfd", call(unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWNS), unix.EPERM)
		unix.Close(fd)
	}
	for _, f := range []string{"uid_map", "gid_map"} {
		h.refused("write "+f, os.WriteFile("/proc/self/"+f, []byte("0 0 1"), 0))
	}
}

// mounts: over what is covered, away with what covers, into another root.
func (h *hostile) mounts() {
	h.refused("tmpfs", unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""), unix.EPERM)
	h.refused("proc", unix.Mount("proc", "/tmp", "proc", 0, ""), unix.EPERM)
	h.refused("bind", unix.Mount("/", "/tmp", "", unix.MS_BIND|unix.MS_REC, ""), unix.EPERM)
	h.refused("move", unix.Mount("/proc", "/tmp", "", unix.MS_MOVE, ""), unix.EPERM)
	h.refused("pivot_root", unix.PivotRoot("/tmp", "/tmp"), unix.EPERM)
	h.refused("chroot", unix.Chroot("/tmp"), unix.EPERM)
	_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
	h.refused("open_tree", err, unix.EPERM)
	_, err = unix.Fsopen("tmpfs", 0)
	h.refused("fsopen", err, unix.EPERM)
	_, err = unix.Fspick(unix.AT_FDCWD, "/", 0)
	h.refused("fspick", err, unix.EPERM)
	h.refused("fsmount", call(unix.SYS_FSMOUNT, 0, 0, 0), unix.EPERM)
	h.refused("fsconfig", call(unix.SYS_FSCONFIG, 0, 6, 0, 0, 0), unix.EPERM)
	h.refused("move_mount", unix.MoveMount(unix.AT_FDCWD, "/proc", unix.AT_FDCWD, "/tmp", 0), unix.EPERM)
	h.refused("open_tree_attr", call(unix.SYS_OPEN_TREE_ATTR, here, text("/"), 0, 0, 0), unix.EPERM, unix.ENOSYS)
	for _, dir := range mountPoints() {
		h.refused("umount "+dir, unix.Unmount(dir, unix.MNT_DETACH), unix.EPERM)
		h.refused("remount "+dir, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, ""), unix.EPERM)
		h.refused("mount_setattr "+dir, unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}), unix.EPERM)
	}
	h.upwards()
}

func mountPoints() (list []string) {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			list = append(list, f[4])
		}
	}
	return list
}

// upwards: what is above the root.
func (h *hostile) upwards() {
	var root, up unix.Stat_t
	unix.Stat("/", &root)
	for _, path := range []string{"/..", "/proc/self/root/..", "/proc/self/cwd/../../../../../../../..", "/dev/fd/../../../.."} {
		err := unix.Stat(path, &up)
		h.holds(path, err != nil || up.Dev == root.Dev && up.Ino == root.Ino, up.Ino)
	}
	_, err := os.Stat("/.host")
	h.refused("the host's old root", err, unix.ENOENT)
}

// processOne is ours, and has the agent's uid.
func (h *hostile) processOne() {
	for _, f := range []string{"environ", "mem", "maps", "smaps", "auxv", "pagemap", "stack", "syscall", "io"} {
		_, err := os.ReadFile("/proc/1/" + f)
		h.refused("read "+f, err, unix.EACCES, unix.EPERM)
	}
	for _, f := range []string{"exe", "root", "cwd"} {
		_, err := os.Readlink("/proc/1/" + f)
		h.refused("follow "+f, err, unix.EACCES, unix.EPERM)
	}
	for _, f := range []string{"fd", "fdinfo", "map_files", "root/"} {
		_, err := os.ReadDir("/proc/1/" + f)
		h.refused("list "+f, err, unix.EACCES, unix.EPERM)
	}
	h.refused("write mem", os.WriteFile("/proc/1/mem", []byte("x"), 0))
	h.refused("lower its oom_score_adj", os.WriteFile("/proc/1/oom_score_adj", []byte("1000"), 0))
	h.refused("ptrace attach", call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1), unix.EPERM)
	h.refused("ptrace seize", call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 1), unix.EPERM)
	h.refused("process_vm_readv", call(unix.SYS_PROCESS_VM_READV, 1), unix.EPERM)
	h.refused("process_vm_writev", call(unix.SYS_PROCESS_VM_WRITEV, 1), unix.EPERM)
	fd, err := unix.PidfdOpen(1, 0)
	if err == nil {
		for n := range 3 {
			_, err := unix.PidfdGetfd(fd, n, 0)
			h.refused(fmt.Sprintf("pidfd_getfd %d", n), err, unix.EPERM)
		}
		unix.Close(fd)
	}
	// The kernel keeps this signal from a namespace's process 1, with or without
	// an error: that it lives shows in that we do.
	err = unix.Kill(1, syscall.SIGKILL)
	h.say("blocked", "kill -9", fmt.Sprintf("still there (%v)", err))
	if landlockScopes() {
		h.refused("kill", err, unix.EPERM)
	}
	pids, _ := os.ReadDir("/proc")
	n := 0
	for _, p := range pids {
		if p.Name()[0] >= '0' && p.Name()[0] <= '9' {
			n++
		}
	}
	h.holds("processes of the host's", n <= 2+h.Beside, n)
}

// landlockScopes: the agent is in a domain that bounds its signals, where the
// kernel has those and the engine's own filter lets one ask for them.
func landlockScopes() bool {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return e == 0 && abi >= 6
}
