package sandbox

import "golang.org/x/sys/unix"

// legacySuid tries the calls that only this architecture has.
func (a *attacker) legacySuid(f string) {
	p := text(f)
	a.refused("old chmod", call(unix.SYS_CHMOD, p, 0o4755), unix.EPERM)
	a.refused("old creat", call(unix.SYS_CREAT, text(f+"6"), 0o4755), unix.EPERM)
	a.refused("old open", call(unix.SYS_OPEN, text(f+"7"), unix.O_CREAT, 0o4755), unix.EPERM)
	a.refused("old mkdir", call(unix.SYS_MKDIR, text(f+"8"), 0o2755), unix.EPERM)
	a.refused("old mknod", call(unix.SYS_MKNOD, text(f+"9"), unix.S_IFREG|0o4755, 0), unix.EPERM)
}
