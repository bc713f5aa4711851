package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system call filter (seccomp(2)), classic BPF over struct seccomp_data.
// What is not named passes: a coding agent runs compilers, debuggers and
// browsers. Named is what reaches around the namespaces (vsock, keyrings),
// what makes new ones, what would leave set-uid files behind on the host, and
// kernel surface that no tool of an agent needs.

// verdict is what a filter returns.
type verdict uint32

const (
	allow   = verdict(unix.SECCOMP_RET_ALLOW)
	kill    = verdict(unix.SECCOMP_RET_KILL_PROCESS)
	perm    = verdict(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	nosys   = verdict(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	noaf    = verdict(unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT))
	done    = verdict(unix.SECCOMP_RET_ERRNO) // 0, without having been done
	noproto = verdict(unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT))
)

// denied get EPERM whatever their arguments.
var denied = []uintptr{
	// Mounts and namespaces: EPERM already for want of capabilities.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT,
	// Keyrings are not namespaced.
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	// Kernel surface.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_KCMP,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD,
	unix.SYS_SYSLOG, unix.SYS_VHANGUP, unix.SYS_NFSSERVCTL, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
}

// absent get ENOSYS, at which callers fall back: io_uring is surface and goes
// past this filter; the arguments of clone3 and openat2 lie in memory, where a
// filter cannot look.
var absent = []uintptr{
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_CLONE3, unix.SYS_OPENAT2,
}

// A modeCall sets permission bits from an argument. With creates >= 0 that
// argument counts only when the one at creates has O_CREAT or O_TMPFILE; it is
// garbage otherwise.
type modeCall struct {
	nr      uintptr
	mode    int
	creates int
}

// modeCalls must not set the set-user-ID and set-group-ID bits: nosuid protects
// from them inside, but the files stay on the host, where the agent's user (or,
// through an idmapped mount, root) owns them. As systemd's RestrictSUIDSGID.
var modeCalls = append([]modeCall{
	{unix.SYS_FCHMOD, 1, -1}, {unix.SYS_FCHMODAT, 2, -1}, {unix.SYS_FCHMODAT2, 2, -1},
	{unix.SYS_MKDIRAT, 2, -1}, {unix.SYS_MKNODAT, 2, -1}, {unix.SYS_OPENAT, 3, 2}, {unix.SYS_MQ_OPEN, 2, 1},
}, archModeCalls...)

const (
	suidBits = unix.S_ISUID | unix.S_ISGID
	// O_TMPFILE without O_DIRECTORY, which is part of it in x/sys.
	makesFile = unix.O_CREAT | (unix.O_TMPFILE &^ unix.O_DIRECTORY)
	// Every CLONE_NEW* flag of clone(2), and those that only unshare(2) has.
	newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET
	cloneNewTime = 0x80
)

// Offsets in struct seccomp_data. Arguments are 64 bits, little-endian on both
// architectures; all that is looked at here is an int or a mode, of which the
// kernel too takes the low half.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// program collects instructions.
type program []unix.SockFilter

func (p *program) op(code uint16, k uint32, jt, jf uint8) {
	*p = append(*p, unix.SockFilter{Code: code, K: k, Jt: jt, Jf: jf})
}

func (p *program) load(off uint32) { p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off, 0, 0) }
func (p *program) arg(n int)       { p.load(offArgs + 8*uint32(n)) }
func (p *program) ret(v verdict)   { p.op(unix.BPF_RET|unix.BPF_K, uint32(v), 0, 0) }

// The conditions below run the next instruction when they hold, else skip it.
func (p *program) ifEq(k uint32)  { p.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 0, 1) }
func (p *program) ifNe(k uint32)  { p.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, k, 1, 0) }
func (p *program) ifSet(k uint32) { p.op(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, k, 0, 1) }
func (p *program) ifGe(k uint32)  { p.op(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, k, 0, 1) }

// onCall runs body, which must return in every case, for the system call nr.
func (p *program) onCall(nr uintptr, body func(*program)) {
	var b program
	body(&b)
	p.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint32(nr), 0, uint8(len(b)))
	*p = append(*p, b...)
}

// filter is the whole program.
func filter() []unix.SockFilter {
	var p program
	p.load(offArch)
	p.ifNe(auditArch)
	p.ret(kill) // 32-bit calls have other numbers
	p.load(offNr)
	if x32Bit != 0 {
		p.ifGe(x32Bit)
		p.ret(kill)
	}
	for _, nr := range append(denied, archDenied...) {
		p.ifEq(uint32(nr))
		p.ret(perm)
	}
	for _, nr := range absent {
		p.ifEq(uint32(nr))
		p.ret(nosys)
	}
	for _, c := range modeCalls {
		p.onCall(c.nr, c.body)
	}
	p.onCall(unix.SYS_CLONE, func(b *program) { b.denyFlags(newNamespaces) })
	p.onCall(unix.SYS_UNSHARE, func(b *program) { b.denyFlags(newNamespaces | cloneNewTime) })
	p.onCall(unix.SYS_SETRLIMIT, func(b *program) { b.keepCores(0) })
	p.onCall(unix.SYS_PRLIMIT64, func(b *program) { b.keepCores(1, 2) })
	p.onCall(unix.SYS_PERSONALITY, personalityBody)
	p.onCall(unix.SYS_IOCTL, ioctlBody)
	p.onCall(unix.SYS_SOCKET, socketBody)
	p.onCall(unix.SYS_SOCKETPAIR, socketBody)
	p.ret(allow)
	return p
}

func (c modeCall) body(b *program) {
	if c.creates >= 0 {
		b.arg(c.creates)
		b.op(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, makesFile, 1, 0)
		b.ret(allow)
	}
	b.arg(c.mode)
	b.ifSet(suidBits)
	b.ret(perm)
	b.ret(allow)
}

func (p *program) denyFlags(flags uint32) {
	p.arg(0)
	p.ifSet(flags)
	p.ret(perm)
	p.ret(allow)
}

// keepCores leaves the limit of cores as it is (noCores), and says that it was
// set: what asks for less means well, and some refuse to run without. resource is
// the argument that names it; given, if any, a pointer that is null in a question.
func (p *program) keepCores(resource int, given ...int) {
	p.arg(resource)
	p.ifNe(unix.RLIMIT_CORE)
	p.ret(allow)
	for _, n := range given {
		// Both halves: a pointer is 64 bits.
		p.arg(n)
		p.ifNe(0)
		p.ret(done)
		p.load(offArgs + 8*uint32(n) + 4)
		p.ifEq(0)
		p.ret(allow)
	}
	p.ret(done)
}

// Of personality(2) is left what debuggers, sanitizers and builds of 32-bit
// packages ask for, and the question itself.
const (
	personalities    = 0x0008 | 0x0020000 | 0x0040000 // PER_LINUX32, UNAME26, ADDR_NO_RANDOMIZE
	personalityQuery = 0xffffffff
)

// personalityBody denies the others: execution domains of other systems, memory
// that is executable without being asked for.
func personalityBody(b *program) {
	b.arg(0)
	b.ifEq(personalityQuery)
	b.ret(allow)
	b.ifSet(personalityQuery &^ personalities)
	b.ret(perm)
	b.ret(allow)
}

// ioctlBody denies typing into a terminal (TIOCSTI, TIOCLINUX), and loading
// line disciplines, which is old kernel code.
func ioctlBody(b *program) {
	b.arg(1)
	for _, cmd := range []uint32{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD} {
		b.ifEq(cmd)
		b.ret(perm)
	}
	b.ret(allow)
}

// socketBody lets through unix, IP with its usual protocols, and NETLINK_ROUTE,
// without which no program can list its interfaces. AF_VSOCK above all does
// not: it reaches the hypervisor and knows no network namespace.
func socketBody(b *program) {
	b.arg(0)
	b.ifEq(unix.AF_UNIX)
	b.ret(allow)
	b.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, unix.AF_NETLINK, 0, 4)
	b.arg(2)
	b.ifEq(unix.NETLINK_ROUTE)
	b.ret(allow)
	b.ret(noproto)
	b.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, unix.AF_INET, 2, 0)
	b.op(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, unix.AF_INET6, 1, 0)
	b.ret(noaf)
	b.arg(2)
	for _, proto := range []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, unix.IPPROTO_MPTCP} {
		b.ifEq(proto)
		b.ret(allow)
	}
	b.ret(noproto)
}

// filterSyscalls installs the filter on all threads. It needs no_new_privs.
func filterSyscalls() error {
	prog := filter()
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(prog)
	if e != 0 {
		return fmt.Errorf("seccomp: %w", e)
	}
	return nil
}
