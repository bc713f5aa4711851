package term

import "golang.org/x/sys/unix"

func getState(fd int) (*unix.Termios, error) { return unix.IoctlGetTermios(fd, unix.TCGETS) }

func setState(fd int, s *unix.Termios) error { return unix.IoctlSetTermios(fd, unix.TCSETS, s) }

// dropInput drops what was typed and not read.
func dropInput(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }
