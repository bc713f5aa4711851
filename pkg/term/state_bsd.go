//go:build darwin || freebsd || netbsd || openbsd

package term

import "golang.org/x/sys/unix"

func getState(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TIOCGETA) }

func setState(fd int, s *unix.Termios) error { return unix.IoctlSetTermios(fd, unix.TIOCSETA, s) }

// dropInput drops what was typed and not read.
func dropInput(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, unix.TCIFLUSH) }
