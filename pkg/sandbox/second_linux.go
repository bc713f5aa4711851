package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A second command is one beside the agent, in its sandbox:
//
//	Enter      in a process of the operator's: makes the streams and a wire, and
//	           asks the launcher (enter_linux.go)
//	Serve      in the launcher: passes the sandbox's ends on to process 1, and
//	           counts (serve_linux.go)
//	process 1  starts _second with them
//	_second    the command's parent, and the leader of its session: opens its
//	           terminal, starts it by way of _agent, passes signals on, tells its
//	           stops and its exit code
//
// Once it runs the two ends talk alone. Each end's death is the other's end: the
// kernel closes the wire.

// A request is what _second is asked for. The rest is as the agent has it.
type request struct {
	Args       []string
	Terminal   bool
	Rows, Cols uint16
	Term       string // TERM of the terminal that this one is shown on
}

// second starts _second with the files of a request: the wire, the request, and
// the three streams unless there is to be a terminal.
func (p *pid1) second(files []*os.File) {
	if len(files) < 2 {
		return
	}
	if err := p.startSecond(files); err != nil {
		fd, dup := unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if w, bad := wireOf(fd); dup == nil && bad == nil {
			report(w, err)
			w.c.Close()
		}
	}
}

func (p *pid1) startSecond(files []*os.File) error {
	s, err := specFile(p.spec)
	if err != nil {
		return err
	}
	defer s.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	streams := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	for i, f := range files[2:min(len(files), 5)] {
		streams[i] = f.Fd()
	}
	_, err = syscall.ForkExec("/proc/self/exe", []string{"bottle", stageSecond}, &syscall.ProcAttr{
		Files: append(streams, files[0].Fd(), s.Fd(), files[1].Fd()),
		Env:   os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", stageSecond, err)
	}
	return nil
}

// secondMain is the stage _second.
func secondMain() int {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return CannotStart
	}
	// The kernel tells the leader of a session that its terminal is gone. The wire
	// says so too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	ctl, err := wireOf(controlFd)
	if err != nil {
		return CannotStart
	}
	p := &pid1{ctl: ctl, heard: make(chan bool, 2)}
	p.lost = p.hangUp
	s, err := readRequest()
	if err == nil {
		err = p.begin(ctl, s)
	}
	if err != nil {
		killChildren() // it may run already: what failed is to tell whoever asked, who is gone
		return report(ctl, err)
	}
	go p.obey()
	code := p.reap()
	if !<-p.heard {
		killChildren()
	}
	return code
}

// readRequest is the agent's spec with what was asked for in it.
func readRequest() (s reapSpec, err error) {
	var q request
	if err = errors.Join(readSpec(specFd, &s.Agent), readSpec(firstFd, &q)); err != nil {
		return s, err
	}
	if len(q.Args) == 0 || q.Args[0] == "" {
		return s, errors.New("no command")
	}
	s.Terminal, s.Rows, s.Cols, s.Agent.Args = q.Terminal, q.Rows, q.Cols, q.Args
	if q.Terminal && q.Term != "" {
		s.Agent.Env = append(slices.DeleteFunc(s.Agent.Env, func(v string) bool { return strings.HasPrefix(v, "TERM=") }), "TERM="+q.Term)
	}
	return s, nil
}

// begin opens the terminal, and starts the command.
func (p *pid1) begin(ctl *wire, s reapSpec) error {
	// What the command leaves behind becomes this process's, so that it is found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("subreaper: %w", err)
	}
	if s.Terminal {
		master, err := openTerminal(s.Rows, s.Cols)
		if err != nil {
			return err
		}
		defer master.Close()
		if err := ctl.send(message{Kind: kindReady, Names: []string{terminalName}}, master); err != nil {
			return err
		}
	}
	return p.start(s)
}

// hangUp ends the command when whoever asked for it is gone: as the end of a
// terminal does, and by force after a while.
func (p *pid1) hangUp() {
	p.heard <- false
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGCONT} {
		p.signalGroup(sig)
	}
	time.Sleep(endTime)
	p.signalGroup(syscall.SIGKILL)
}

func (p *pid1) signalGroup(sig syscall.Signal) {
	if !p.gone.Load() {
		unix.Kill(-p.agent, sig)
	}
}

// killChildren ends what the command has left: its orphans are children of this
// process, and theirs become so as they end.
func killChildren() {
	for {
		for _, pid := range children() {
			unix.Kill(pid, unix.SIGKILL)
		}
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return // there are none
		}
	}
}

func children() (pids []int) {
	own := strconv.Itoa(os.Getpid())
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name, in brackets, may hold anything: proc_pid_stat(5).
		f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		if len(f) > 1 && string(f[1]) == own {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
