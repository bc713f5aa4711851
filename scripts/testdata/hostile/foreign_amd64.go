package main

import "golang.org/x/sys/unix"

// int80 makes a system call as a 32-bit program does; foreign_amd64.s.
func int80(nr uint32) uint32

// foreign asks for the process id by the number of another architecture.
func foreign() { int80(20) }

// x32 does by that of the x32 ABI, which is a bit.
func x32() { unix.RawSyscall(unix.SYS_GETPID|0x40000000, 0, 0, 0) }

// legacySetUID are calls that only this architecture has.
func (h *hostile) legacySetUID(f string) {
	p := text(f)
	h.refused("old chmod", call(unix.SYS_CHMOD, p, 0o4755), unix.EPERM)
	h.refused("old creat", call(unix.SYS_CREAT, text(f+"6"), 0o4755), unix.EPERM)
	h.refused("old open", call(unix.SYS_OPEN, text(f+"7"), unix.O_CREAT, 0o4755), unix.EPERM)
	h.refused("old mkdir", call(unix.SYS_MKDIR, text(f+"8"), 0o2755), unix.EPERM)
	h.refused("old mknod", call(unix.SYS_MKNOD, text(f+"9"), unix.S_IFREG|0o4755, 0), unix.EPERM)
}

// legacyKernel are calls that only this architecture has.
func (h *hostile) legacyKernel() {
	h.refused("iopl", call(unix.SYS_IOPL, 3), unix.EPERM)
	h.refused("ioperm", call(unix.SYS_IOPERM, 0x80, 1, 1), unix.EPERM)
	h.refused("modify_ldt", call(unix.SYS_MODIFY_LDT, 0, 0, 0), unix.EPERM)
	h.refused("uselib", call(unix.SYS_USELIB, text("/x")), unix.EPERM)
}
