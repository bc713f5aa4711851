//go:build !linux

package state

import "syscall"

// Signal is ErrGone: bottles run on Linux alone, and what is here are the
// operator's tools for those on engines elsewhere.
func (p Part) Signal(syscall.Signal) error { return ErrGone }
