//go:build !amd64

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// foreign and x32: there is no call of another architecture from here.
func foreign() { unix.Kill(os.Getpid(), unix.SIGSYS) }
func x32()     { foreign() }

func (h *hostile) legacySetUID(string) {}
func (h *hostile) legacyKernel()       {}
