package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attack is the hostile agent: it tries one thing after the other and prints a
// line "NAME: ok REASON" when it was refused, "NAME: ESCAPE WHAT" when not.
// args are the workspace and host addresses to reach, then files of the host.
func attack(args []string) int {
	runtime.LockOSThread()
	a := &attacker{workspace: args[0], hosts: strings.Split(args[1], ","), secrets: args[2:]}
	for _, step := range []func(){
		a.identity, a.descriptors, a.processOne, a.keyrings, a.kernel, a.namespaces, a.sockets, a.network,
		a.suidBits, a.terminal, a.hostFiles, a.protectedPaths, a.devices, a.limits,
	} {
		step()
	}
	return a.failed
}

type attacker struct {
	workspace string
	hosts     []string
	secrets   []string
	failed    int
}

// refused checks that err is one of want, or for no want any error.
func (a *attacker) refused(name string, err error, want ...error) {
	ok := err != nil && len(want) == 0
	for _, w := range want {
		ok = ok || errors.Is(err, w)
	}
	if ok {
		fmt.Printf("%s: ok %v\n", name, err)
		return
	}
	a.failed = 1
	fmt.Printf("%s: ESCAPE got %v, want %v\n", name, err, want)
}

func (a *attacker) check(name string, ok bool, what any) {
	if ok {
		fmt.Printf("%s: ok\n", name)
		return
	}
	a.failed = 1
	fmt.Printf("%s: ESCAPE %v\n", name, what)
}

func call(nr uintptr, args ...uintptr) error {
	var x [6]uintptr
	copy(x[:], args)
	if _, _, e := unix.Syscall6(nr, x[0], x[1], x[2], x[3], x[4], x[5]); e != 0 {
		return e
	}
	return nil
}

func text(s string) uintptr { return uintptr(unsafe.Pointer(&append([]byte(s), 0)[0])) }

func (a *attacker) identity() {
	status, _ := os.ReadFile("/proc/self/status")
	for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		a.check("status "+want, strings.Contains(string(status), want), string(status))
	}
	a.check("not root", os.Getuid() != 0 && os.Geteuid() != 0 && os.Getgid() != 0, os.Getuid())
	m, _ := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(m))
	a.check("uid map without root", len(f) == 3 && f[0] == f[1] && f[1] != "0" && f[2] == "1", string(m))
	groups, err := os.Getgroups()
	a.check("groups", err == nil && !contains(groups, 0), groups)
	a.refused("setuid 0", call(unix.SYS_SETUID, 0), unix.EINVAL, unix.EPERM)
}

func contains(list []int, x int) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// descriptors: nothing that the launcher had open has come along.
func (a *attacker) descriptors() {
	var open []string
	for fd := 3; fd < 1024; fd++ {
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		// The Go runtime of this very agent opens these.
		if err == nil && !strings.HasPrefix(link, "anon_inode:[event") {
			open = append(open, fmt.Sprint(fd, "=", link))
		}
	}
	a.check("leaked descriptors", len(open) == 0, open)
	for fd := range 3 {
		link, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		a.check(fmt.Sprintf("stdio %d is not the operator's", fd), strings.HasPrefix(link, "pipe:") || strings.HasPrefix(link, "/dev/pts/"), link)
	}
}

func (a *attacker) processOne() {
	for _, f := range []string{"environ", "mem", "maps", "fd", "root", "cwd", "exe", "ns/net"} {
		_, err := os.ReadFile("/proc/1/" + f)
		if f == "fd" || f == "root" || f == "cwd" {
			_, err = os.ReadDir("/proc/1/" + f)
		}
		a.refused("/proc/1/"+f, err, unix.EACCES, unix.EPERM, unix.ENOENT)
	}
	a.refused("ptrace 1", call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1), unix.EPERM)
	a.refused("ptrace seize 1", call(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 1), unix.EPERM)
	a.refused("process_vm_readv 1", call(unix.SYS_PROCESS_VM_READV, 1), unix.EPERM)
	a.refused("pidfd_getfd", call(unix.SYS_PIDFD_GETFD, 0, 0), unix.EPERM)
	if landlockScopes() {
		a.refused("kill -9 1", unix.Kill(1, unix.SIGKILL), unix.EPERM)
		a.refused("kill -TERM 1", unix.Kill(1, unix.SIGTERM), unix.EPERM)
	}
	pids, _ := filepath.Glob("/proc/[0-9]*")
	a.check("own processes only", len(pids) <= 2, pids)
}

func landlockScopes() bool {
	abi, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return e == 0 && abi >= 6
}

func (a *attacker) keyrings() {
	a.refused("add_key", call(unix.SYS_ADD_KEY, text("user"), text("x"), text("y"), 1, ^uintptr(2)), unix.EPERM)
	a.refused("keyctl", call(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(2), 0), unix.EPERM)
	a.refused("request_key", call(unix.SYS_REQUEST_KEY, text("user"), text("x"), 0, 0), unix.EPERM)
	keys, _ := os.ReadFile("/proc/keys")
	a.check("/proc/keys", len(keys) == 0, string(keys))
}

func (a *attacker) kernel() {
	a.refused("io_uring_setup", call(unix.SYS_IO_URING_SETUP, 8, text(strings.Repeat("\x00", 256))), unix.ENOSYS)
	a.refused("io_uring_enter", call(unix.SYS_IO_URING_ENTER), unix.ENOSYS)
	a.refused("io_uring_register", call(unix.SYS_IO_URING_REGISTER), unix.ENOSYS)
	a.refused("bpf", call(unix.SYS_BPF, 0, 0, 0), unix.EPERM)
	a.refused("perf_event_open", call(unix.SYS_PERF_EVENT_OPEN), unix.EPERM)
	a.refused("userfaultfd", call(unix.SYS_USERFAULTFD, 1), unix.EPERM)
	a.refused("init_module", call(unix.SYS_INIT_MODULE), unix.EPERM)
	a.refused("finit_module", call(unix.SYS_FINIT_MODULE), unix.EPERM)
	a.refused("kexec_load", call(unix.SYS_KEXEC_LOAD), unix.EPERM)
	a.refused("reboot", call(unix.SYS_REBOOT), unix.EPERM)
	a.refused("syslog", call(unix.SYS_SYSLOG, 10), unix.EPERM)
	a.refused("open_by_handle_at", call(unix.SYS_OPEN_BY_HANDLE_AT), unix.EPERM)
	a.refused("chroot", unix.Chroot(a.workspace), unix.EPERM)
	a.refused("write /proc/sys", os.WriteFile("/proc/sys/kernel/core_pattern", []byte("|/x"), 0))
	a.refused("write ip_forward", os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	a.refused("sysrq", os.WriteFile("/proc/sysrq-trigger", []byte("h"), 0))
	_, err := os.Stat("/sys/kernel")
	a.refused("/sys", err, unix.ENOENT)
}

func (a *attacker) namespaces() {
	for name, flag := range map[string]uintptr{"user": unix.CLONE_NEWUSER, "net": unix.CLONE_NEWNET, "mount": unix.CLONE_NEWNS,
		"pid": unix.CLONE_NEWPID, "time": 0x80} {
		a.refused("unshare "+name, call(unix.SYS_UNSHARE, flag), unix.EPERM)
	}
	a.refused("clone user", call(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)), unix.EPERM)
	a.refused("clone3", call(unix.SYS_CLONE3, 0, 0), unix.ENOSYS)
	a.refused("setns", call(unix.SYS_SETNS, 0, 0), unix.EPERM)
	a.refused("mount", unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""), unix.EPERM)
	a.refused("umount", unix.Unmount("/run/bottle", unix.MNT_DETACH), unix.EPERM)
	a.refused("remount", unix.Mount("", "/usr", "", unix.MS_REMOUNT|unix.MS_BIND, ""), unix.EPERM)
	a.refused("pivot_root", unix.PivotRoot("/tmp", "/tmp"), unix.EPERM)
	_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
	a.refused("open_tree", err, unix.EPERM)
	a.refused("mount_setattr", unix.MountSetattr(unix.AT_FDCWD, "/usr", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}), unix.EPERM)
	_, err = unix.Fsopen("tmpfs", 0)
	a.refused("fsopen", err, unix.EPERM)
	_, err = unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_RDONLY})
	a.refused("openat2", err, unix.ENOSYS)
}

func (a *attacker) sockets() {
	for name, s := range map[string][3]int{
		"AF_VSOCK":       {unix.AF_VSOCK, unix.SOCK_STREAM, 0},
		"AF_PACKET":      {unix.AF_PACKET, unix.SOCK_RAW, 0},
		"AF_ALG":         {unix.AF_ALG, unix.SOCK_SEQPACKET, 0},
		"AF_BLUETOOTH":   {unix.AF_BLUETOOTH, unix.SOCK_RAW, 0},
		"AF_XDP":         {unix.AF_XDP, unix.SOCK_RAW, 0},
		"raw IP":         {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW},
		"raw ICMP":       {unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP},
		"SCTP":           {unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
		"netlink audit":  {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT},
		"netlink filter": {unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER},
	} {
		fd, err := unix.Socket(s[0], s[1], s[2])
		if err == nil {
			unix.Close(fd)
		}
		a.refused(name, err, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.EPERM)
	}
	ifs, err := net.Interfaces()
	a.check("interfaces can be listed, only lo", err == nil && len(ifs) == 1 && ifs[0].Name == "lo", ifs)
}

func (a *attacker) network() {
	for _, h := range a.hosts {
		start := time.Now()
		c, err := net.DialTimeout("tcp", h, 2*time.Second)
		if err == nil {
			c.Close()
		}
		a.refused("connect "+h, err, unix.ENETUNREACH, unix.ECONNREFUSED, unix.EHOSTUNREACH)
		a.check("connect fails at once", time.Since(start) < time.Second, time.Since(start))
	}
	// Addresses that nobody answers on are tried from here only: the network is empty.
	for _, h := range []string{"192.0.2.1:80", "169.254.169.254:80", "[2001:db8::1]:443"} {
		_, err := net.DialTimeout("tcp", h, 2*time.Second)
		a.refused("connect "+h, err, unix.ENETUNREACH, unix.EADDRNOTAVAIL)
	}
	_, err := net.LookupHost("leak.attacker.example")
	a.refused("look-up", err)
	// Our own ports on lo are ours.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	a.check("listen on lo", err == nil, err)
	if err == nil {
		l.Close()
	}
	_, err = net.Listen("tcp", "127.0.0.1:80")
	a.refused("privileged port", err, unix.EACCES)
	_, err = net.Dial("unix", "@sandbox-test-abstract")
	a.refused("abstract socket", err, unix.ECONNREFUSED, unix.EPERM)
}

func (a *attacker) suidBits() {
	f := filepath.Join(a.workspace, "suid")
	if err := os.WriteFile(f, []byte("#!/bin/sh\n"), 0o755); err != nil {
		a.check("write in workspace", false, err)
		return
	}
	p := text(f)
	fd, _ := unix.Open(f, unix.O_RDWR, 0)
	at := ^uintptr(99) // AT_FDCWD, -100
	for name, err := range map[string]error{
		"chmod u+s":     unix.Chmod(f, 0o4755),
		"chmod g+s":     unix.Chmod(f, 0o2755),
		"fchmod":        unix.Fchmod(fd, 0o4755),
		"fchmodat":      call(unix.SYS_FCHMODAT, at, p, 0o4755),
		"fchmodat2":     call(unix.SYS_FCHMODAT2, at, p, 0o4755, 0),
		"openat suid":   call(unix.SYS_OPENAT, at, text(f+"2"), unix.O_CREAT|unix.O_WRONLY, 0o4755),
		"O_TMPFILE":     call(unix.SYS_OPENAT, at, text(a.workspace), unix.O_TMPFILE|unix.O_WRONLY, 0o4755),
		"mkdirat sgid":  call(unix.SYS_MKDIRAT, at, text(f+"3"), 0o2755),
		"mknodat suid":  call(unix.SYS_MKNODAT, at, text(f+"4"), unix.S_IFREG|0o4755, 0),
		"mq_open suid":  call(unix.SYS_MQ_OPEN, text("x"), unix.O_CREAT|unix.O_RDWR, 0o4755, 0),
		"chmod a dir":   unix.Chmod(a.workspace, 0o2755),
		"capability":    unix.Setxattr(f, "security.capability", make([]byte, 20), 0),
		"mknod device":  unix.Mknod(f+"5", unix.S_IFCHR|0o666, 1<<8|3),
		"chown to root": os.Chown(f, 0, 0),
	} {
		a.refused(name, err, unix.EPERM, unix.EINVAL)
	}
	a.legacySuid(f)
	unix.Close(fd)
	// Garbage in a mode that is not looked at passes.
	a.check("open without O_CREAT", call(unix.SYS_OPENAT, at, p, unix.O_RDONLY, 0o4755) == nil, "refused")
	a.check("plain chmod", unix.Chmod(f, 0o700) == nil, "refused")
	fi, _ := os.Stat(f)
	a.check("no suid bit", fi.Mode()&(os.ModeSetuid|os.ModeSetgid) == 0, fi.Mode())
}

func (a *attacker) terminal() {
	c := byte('x')
	for name, cmd := range map[string]uintptr{"TIOCSTI": unix.TIOCSTI, "TIOCLINUX": unix.TIOCLINUX, "TIOCSETD": unix.TIOCSETD} {
		a.refused(name, call(unix.SYS_IOCTL, 0, cmd, uintptr(unsafe.Pointer(&c))), unix.EPERM)
		// The kernel takes 32 bits of the command; so must the filter.
		a.refused(name+" high bits", call(unix.SYS_IOCTL, 0, cmd|1<<32, uintptr(unsafe.Pointer(&c))), unix.EPERM)
	}
}

func (a *attacker) hostFiles() {
	for _, dir := range []string{"/", "/usr", "/usr/bin", "/etc", "/opt", "/run/bottle", "/run/bottle/bin", "/dev", "/proc", "/home", "/var", "/sys"} {
		a.refused("write "+dir, os.WriteFile(filepath.Join(dir, "planted"), nil, 0o644))
	}
	a.refused("truncate a system file", os.Truncate("/etc/passwd", 0))
	a.refused("unlink the supervisor's socket", os.Remove(Supervise))
	for _, f := range append(a.secrets, "/etc/shadow", "/root/.ssh", "/var/run/docker.sock", "/run/docker.sock", "/.host") {
		_, err := os.Open(f)
		a.refused("read "+f, err, unix.ENOENT, unix.EACCES)
	}
	home, err := os.ReadDir("/home")
	a.check("/home holds the agent only", err == nil && len(home) == 1, home)
	for _, d := range []string{"/tmp", "/var/tmp", Home, "/dev/shm", "/run", a.workspace} {
		f := filepath.Join(d, "mine")
		err := os.WriteFile(f, []byte("#!/bin/sh\n"), 0o755)
		a.check("own "+d, err == nil, err)
		os.Remove(f)
	}
}

// protectedPaths: the workspace is given with .git, without .vscode and so on.
func (a *attacker) protectedPaths() {
	if err := os.Chdir(a.workspace); err != nil {
		a.check("chdir", false, err)
		return
	}
	for _, f := range []string{".git/hooks/post-checkout", ".git/config", ".git/commondir", ".git/modules/x/config", ".gitmodules",
		".mcp.json", ".vscode/tasks.json", ".idea/x", ".envrc", ".claude/commands/x", ".claude/agents/x", ".claude/settings.json",
		".bashrc", ".profile", ".zshrc"} {
		os.MkdirAll(filepath.Dir(f), 0o755)
		a.refused("plant "+f, os.WriteFile(f, []byte("evil"), 0o755))
		a.refused("remove "+f, os.Remove(f))
		a.refused("link "+f, os.Symlink("/tmp/evil", f))
		os.WriteFile("evil", []byte("evil"), 0o755)
		a.refused("rename over "+f, os.Rename("evil", f))
	}
	for _, d := range []string{".git", ".git/hooks", ".git/config", ".vscode", ".claude", ".envrc", ".gitmodules"} {
		a.refused("move away "+d, os.Rename(d, "away"), unix.EBUSY, unix.EROFS, unix.EXDEV)
		a.refused("remove "+d, os.Remove(d))
	}
	a.refused("move the workspace", os.Rename(a.workspace, a.workspace+"2"))
	err := os.WriteFile(".git/objects/mine", nil, 0o644)
	a.check("the rest of .git is writable", err == nil, err)
	for _, w := range []string{"mine"} {
		a.check("the workspace is writable", os.WriteFile(w, []byte("from the agent"), 0o644) == nil, w)
	}
}

func (a *attacker) devices() {
	want := map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true,
		"pts": true, "ptmx": true, "shm": true, "fd": true, "stdin": true, "stdout": true, "stderr": true}
	list, err := os.ReadDir("/dev")
	for _, d := range list {
		a.check("/dev/"+d.Name(), want[d.Name()], "not one of ours")
	}
	a.check("/dev", err == nil && len(list) == len(want), list)
	a.check("write /dev/null", os.WriteFile("/dev/null", []byte("x"), 0) == nil, "refused")
}

func (a *attacker) limits() {
	var l unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NPROC, &l)
	a.check("process limit", l.Max == defaultPids, l)
	a.refused("raise it", unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: l.Max + 1, Max: l.Max + 1}), unix.EPERM)
	unix.Getrlimit(unix.RLIMIT_CORE, &l)
	a.check("core limit", l.Max == 0, l)
}
