package state

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signal sends sig to the process, never to a later one of the same number: the
// pidfd pins the process before its start is compared (pidfd_open(2), Linux
// 5.3). ErrGone when it has ended.
func (p Part) Signal(sig syscall.Signal) error {
	if p.Pid <= 0 {
		return ErrGone
	}
	fd, err := unix.PidfdOpen(p.Pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !p.Alive() {
		return ErrGone
	}
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return err
}
