package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// Part is one process, told from a later one with the same number by its start.
type Part struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot: field 22 of /proc/PID/stat, proc(5)
}

// ErrGone says that the process has ended.
var ErrGone = errors.New("the process has ended")

// Self is this process.
func Self() Part {
	p, _ := PartOf(os.Getpid())
	return p
}

// PartOf describes the running process pid; ErrGone when there is none.
func PartOf(pid int) (Part, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return Part{}, ErrGone
	}
	if err != nil {
		return Part{}, err
	}
	// The second field is the program's name in brackets and may hold anything.
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, start = 0, 19 // counted from the third field
	if len(f) <= start {
		return Part{}, fmt.Errorf("/proc/%d/stat: %d fields; wanted more", pid, len(f))
	}
	if f[state][0] == 'Z' || f[state][0] == 'X' {
		return Part{}, ErrGone
	}
	n, err := strconv.ParseUint(string(f[start]), 10, 64)
	return Part{pid, n}, err
}

// Alive reports whether the process still runs.
func (p Part) Alive() bool {
	now, err := PartOf(p.Pid)
	return err == nil && now == p && p.Pid > 0
}
