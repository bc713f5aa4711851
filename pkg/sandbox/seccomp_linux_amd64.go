//go:build linux

package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 0x40000000 // __X32_SYSCALL_BIT: the same calls by other numbers
)

// Calls that only old architectures have.
var (
	archDenied = []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB, unix.SYS_MODIFY_LDT,
		unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE, unix.SYS__SYSCTL}
	archModeCalls = []modeCall{{unix.SYS_CHMOD, 1, -1}, {unix.SYS_MKDIR, 1, -1}, {unix.SYS_MKNOD, 1, -1},
		{unix.SYS_CREAT, 1, -1}, {unix.SYS_OPEN, 2, 1}}
)
