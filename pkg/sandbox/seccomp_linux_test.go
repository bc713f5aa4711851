package sandbox

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestFilterShape: BPF jumps only forward, inside the program, and every path
// ends in a return (what the kernel checks too); and the program is not near
// the limit of 4096 instructions.
func TestFilterShape(t *testing.T) {
	p := filter()
	if len(p) > 1000 {
		t.Errorf("%d instructions", len(p))
	}
	for i, in := range p {
		class := in.Code & 7
		if class == unix.BPF_RET {
			continue
		}
		next := []int{i + 1}
		if class == unix.BPF_JMP {
			next = []int{i + 1 + int(in.Jt), i + 1 + int(in.Jf)}
		}
		for _, n := range next {
			if n >= len(p) {
				t.Errorf("instruction %d leads out of the program", i)
			}
		}
	}
}

// machine runs the filter on one call, for the arguments that the attack
// cannot make: other architectures and numbers.
func machine(p []unix.SockFilter, arch uint32, nr uint32, args ...uint64) verdict {
	load := func(off uint32) uint32 {
		switch off {
		case offNr:
			return nr
		case offArch:
			return arch
		}
		if n := int(off-offArgs) / 8; n < len(args) {
			return uint32(args[n] >> (8 * (off % 8)))
		}
		return 0
	}
	var a uint32
	for i := 0; ; i++ {
		in, jump := p[i], false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = load(in.K)
			continue
		case unix.BPF_RET | unix.BPF_K:
			return verdict(in.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump = a == in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump = a >= in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			jump = a&in.K != 0
		}
		if jump {
			i += int(in.Jt)
		} else {
			i += int(in.Jf)
		}
	}
}

func TestFilterVerdicts(t *testing.T) {
	const i386 = 0x40000003
	p := filter()
	for _, c := range []struct {
		name string
		arch uint32
		nr   uint32
		args []uint64
		want verdict
	}{
		{"32-bit", i386, 1, nil, kill},
		{"read", auditArch, unix.SYS_READ, nil, allow},
		{"ptrace", auditArch, unix.SYS_PTRACE, nil, allow},
		{"mount", auditArch, unix.SYS_MOUNT, nil, perm},
		{"clone3", auditArch, unix.SYS_CLONE3, nil, nosys},
		{"fork", auditArch, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, allow},
		{"thread", auditArch, unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allow},
		{"new user namespace", auditArch, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER}, perm},
		{"unix socket", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, 1, 0}, allow},
		{"tcp", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_INET6, 1, unix.IPPROTO_TCP}, allow},
		{"route netlink", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, 3, 0}, allow},
		{"other netlink", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, 3, unix.NETLINK_NETFILTER}, noproto},
		{"vsock", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, 1, 0}, noaf},
		{"vsock with high bits", auditArch, unix.SYS_SOCKET, []uint64{1<<32 | unix.AF_VSOCK, 1, 0}, noaf},
		{"sctp", auditArch, unix.SYS_SOCKET, []uint64{unix.AF_INET, 1, unix.IPPROTO_SCTP}, noproto},
		{"window size", auditArch, unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, allow},
		{"plain open", auditArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_RDONLY, 0o6777}, allow},
		{"directory open", auditArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_DIRECTORY, 0o6777}, allow},
		{"create", auditArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT, 0o777}, allow},
		{"create suid", auditArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_CREAT, 0o4777}, perm},
		{"tmpfile suid", auditArch, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TMPFILE, 0o2777}, perm},
		{"address randomization off", auditArch, unix.SYS_PERSONALITY, []uint64{0x0040000}, allow},
		{"personality asked for", auditArch, unix.SYS_PERSONALITY, []uint64{0xffffffff}, allow},
		{"another system's", auditArch, unix.SYS_PERSONALITY, []uint64{0x0001 | 0x4000000}, perm},
		{"read implies exec", auditArch, unix.SYS_PERSONALITY, []uint64{0x0400000}, perm},
		{"core limit", auditArch, unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_CORE, 0x7f00_0000_0000}, done},
		{"another limit", auditArch, unix.SYS_SETRLIMIT, []uint64{unix.RLIMIT_NOFILE, 0x7f00_0000_0000}, allow},
		{"core limit by prlimit", auditArch, unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0x7f00_0000_0000, 0}, done},
		{"core limit by prlimit, low half", auditArch, unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0x1000, 0}, done},
		{"core limit asked for", auditArch, unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_CORE, 0, 0x7f00_0000_0000}, allow},
		{"another limit by prlimit", auditArch, unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE, 0x7f00_0000_0000, 0}, allow},
		{"sticky", auditArch, unix.SYS_FCHMOD, []uint64{0, 0o1777}, allow},
		{"suid", auditArch, unix.SYS_FCHMOD, []uint64{0, 0o4755}, perm},
	} {
		if got := machine(p, c.arch, c.nr, c.args...); got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, got, c.want)
		}
	}
	if x32Bit != 0 {
		if got := machine(p, auditArch, x32Bit|1); got != kill {
			t.Errorf("x32: got %#x, want it killed", got)
		}
	}
}
