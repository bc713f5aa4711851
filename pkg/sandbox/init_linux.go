package sandbox

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// stage names, in os.Args[1].
const (
	stageInit  = "_init"
	stageReap  = "_reap"
	stageAgent = "_agent"
	stageHold  = "_hold"

	stageSecond = "_second"
)

// Stages runs the stage of a sandbox that this process was started as, and
// does not return then. Call it first in main.
func Stages() {
	if len(os.Args) < 2 {
		return
	}
	switch os.Args[1] {
	case stageInit:
		os.Exit(initMain())
	case stageReap:
		os.Exit(reapMain())
	case stageAgent:
		os.Exit(agentMain())
	case stageSecond:
		os.Exit(secondMain())
	case stageHold:
		os.Exit(holdMain())
	case stageContained:
		os.Exit(containedMain(os.Args[2:]))
	case stageLed:
		os.Exit(ledMain(os.Args[2:]))
	case stageConfined:
		os.Exit(confinedMain(os.Args[2:]))
	case stageCanary:
		os.Exit(canaryMain())
	case stagePart:
		os.Exit(partMain(os.Args[2:]))
	}
}

// initMain is the stage _init, process 1 of the sandbox: it builds, hands out
// the listeners, and goes on as _reap without the rights that took.
func initMain() int {
	runtime.LockOSThread() // capabilities are a thread's, and this one executes _reap
	ctl, err := wireOf(controlFd)
	if err != nil {
		return CannotStart
	}
	var s spec
	if err = readSpec(specFd, &s); err == nil && s.Probe {
		return report(ctl, probeInside())
	}
	if err == nil {
		err = build(ctl, &s)
	}
	if err == nil {
		err = awaitGroup(ctl, &s)
	}
	if err == nil {
		err = becomeReap(ctl, &s)
	}
	return report(ctl, err)
}

// report tells the launcher how a stage went and is its exit code.
func report(ctl control, err error) int {
	if err != nil {
		ctl.send(message{Kind: kindError, Text: err.Error()})
		return CannotStart
	}
	ctl.send(message{Kind: kindReady})
	return 0
}

// build makes the sandbox and sends the listeners, and with a terminal its
// master end, to the launcher.
func build(ctl *wire, s *spec) error {
	unix.Umask(0o022)
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := buildRoot(s); err != nil {
		return err
	}
	files, names, err := lend(s.Listen)
	defer func() { closeAll(files) }()
	if err != nil {
		return err
	}
	if s.Terminal {
		master, err := openTerminal(s.Rows, s.Cols)
		if err != nil {
			return err
		}
		files, names = append(files, master), append(names, terminalName)
	}
	if err := dropHost(); err != nil {
		return err
	}
	return ctl.send(message{Kind: kindReady, Names: names}, files...)
}

// awaitGroup waits until the launcher has put this process into its control group, if
// there is to be one, and makes that the root of what can be seen of them: its path
// tells of the host.
func awaitGroup(ctl *wire, s *spec) error {
	if s.Grouped {
		m, files, err := ctl.receive()
		closeAll(files)
		if err != nil {
			return err
		}
		if m.Kind != kindPlaced {
			return fmt.Errorf("unexpected message %q; wanted %q", m.Kind, kindPlaced)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil && err != unix.EINVAL { // a kernel without them
		return fmt.Errorf("cgroup namespace: %w", err)
	}
	return nil
}

// becomeReap drops every capability, puts on the filter, starts the process that
// is to become the agent, and executes _reap in this one. An execution rather than
// a system call on all threads, as that is not to be had in a program linked with
// cgo (syscall.AllThreadsSyscall).
func becomeReap(ctl *wire, s *spec) error {
	// What the launcher gave to build with was inherited without close-on-exec.
	if err := unix.CloseRange(controlFd, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	if err := dropCaps(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	if err := shut(); err != nil {
		return err
	}
	next := reapSpec{Agent: s.Agent, Terminal: s.Terminal}
	pid, release, err := prepare(next)
	if err != nil {
		return err
	}
	next.Prepared = pid
	f, err := specFile(next)
	if err != nil {
		return err
	}
	sock, err := ctl.c.File()
	if err != nil {
		return err
	}
	if err := pass(int(sock.Fd()), int(f.Fd()), release); err != nil {
		return err
	}
	return fmt.Errorf("executing %s: %w", stageReap, syscall.Exec("/proc/self/exe", []string{"bottle", stageReap}, os.Environ()))
}

// pass puts the descriptors at controlFd and the numbers after it, and these alone
// stay open over the execution that follows. First out of the way, as they may sit
// at those.
func pass(fds ...int) error {
	var high []int
	for _, fd := range fds {
		fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 64)
		if err != nil {
			return err
		}
		high = append(high, fd)
	}
	for i, fd := range high {
		if err := unix.Dup3(fd, controlFd+i, 0); err != nil {
			return err
		}
	}
	return nil
}

// terminalName is the terminal's master end among the descriptors of "ready".
const terminalName = "terminal"

func lend(list []Listen) (files []*os.File, names []string, err error) {
	for _, l := range list {
		f, err := l.listen()
		if err != nil {
			return files, names, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		files, names = append(files, f), append(names, l.Name)
	}
	return files, names, nil
}

// openTerminal makes a terminal in the sandbox's own devpts and makes its slave
// end this process's streams, later the agent's. It returns the master end.
func openTerminal(rows, cols uint16) (*os.File, error) {
	master, err := os.OpenFile("/dev/pts/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer slave.Close()
	for fd := range 3 {
		if err := unix.Dup3(int(slave.Fd()), fd, 0); err != nil {
			return nil, err
		}
	}
	if err := unix.IoctlSetInt(0, unix.TIOCSCTTY, 0); err != nil {
		return nil, fmt.Errorf("controlling terminal: %w", err)
	}
	return master, nil
}
