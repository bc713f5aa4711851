package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a proxy with the kernel's figures of it.
type process struct {
	cmd *exec.Cmd
}

// startProcess starts cmd, which is killed at the end and must not have ended
// by itself.
func startProcess(t *testing.T, cmd *exec.Cmd) process {
	t.Helper()
	var log lockedBuffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL || strings.Contains(log.String(), "DATA RACE") {
			t.Errorf("the proxy ended with %v: %s", cmd.ProcessState, log.String())
		}
	})
	return process{cmd}
}

// lockedBuffer is written and read by different goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A listener to be lent is connected to before its process serves it: nobody has to
// guess when that is.
type lendableListener struct {
	addr string
	file *os.File
}

func lendable(t *testing.T) lendableListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return lendableListener{ln.Addr().String(), f}
}

// status is a figure of proc(5)'s status: kB, or a number.
func (p process) status(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("the process has no %s", name)
	return 0
}

// ticks is the processor time used so far, in units of 10 ms (proc(5), stat).
func (p process) ticks(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err != nil || err2 != nil {
		t.Fatalf("stat: %q", b)
	}
	return user + system
}

// descriptors is how many are open, or -1 where only root may know: the program
// makes itself undumpable.
func (p process) descriptors() int {
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	if err != nil || len(entries) == 0 {
		return -1
	}
	return len(entries)
}

// within fails when a figure is above its limit. With the race detector it only
// tells.
func within(t *testing.T, what string, got, most float64) {
	t.Helper()
	t.Logf("%s: %.1f; at most %.1f", what, got, most)
	if got > most && !raceEnabled {
		t.Errorf("%s: %.1f; wanted at most %.1f", what, got, most)
	}
}

// settles waits until figure is at most most, and returns the last or least one.
func settles(figure func() int, most int) int {
	end := time.Now().Add(15 * time.Second)
	least := figure()
	for least > most && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
		least = min(least, figure())
	}
	return least
}

// calm is a figure that has stayed the same for a while.
func calm(figure func() int) int {
	last, end := figure(), time.Now().Add(15*time.Second)
	for same := 0; same < 10 && time.Now().Before(end); same++ {
		time.Sleep(20 * time.Millisecond)
		if now := figure(); now != last {
			last, same = now, 0
		}
	}
	return last
}

// descriptorLimit is how many this process may have open (getrlimit(2)). Go has
// raised its own limit to the hard one when it started.
func descriptorLimit(t *testing.T) int {
	t.Helper()
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	r.Cur = r.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	return int(min(r.Cur, 1<<20))
}

// connections is how many of wanted this process and the proxy, which needs one
// for each side, may have open at once.
func connections(t *testing.T, wanted int) int {
	t.Helper()
	limit := descriptorLimit(t)
	n := min(wanted, limit/2-256)
	if n < wanted {
		t.Logf("%d of %d connections, with RLIMIT_NOFILE %d", n, wanted, limit)
	}
	return n
}
