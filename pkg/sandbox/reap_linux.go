package sandbox

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// reapSpec is what _init leaves to _reap.
type reapSpec struct {
	Agent      agentSpec
	Prepared   int // the process that waits to become the agent, see prepare
	Terminal   bool
	Rows, Cols uint16 // of a terminal that is yet to be opened
}

// pid1 is what _reap keeps, and _second of its own command.
type pid1 struct {
	ctl       control
	spec      agentSpec   // for second commands
	lost      func()      // what to do when the other side is gone
	heard     chan bool   // of _second, and with a group: whether the other side knows of the end, or is gone
	contained bool        // in a container, which has the streams and addresses of its own
	terminal  bool        // the agent's streams are a terminal
	agent     int         // its process id
	release   int         // socket to the agent's process that is prepared, see prepare
	trials    []Trial     // of the self-test
	gone      atomic.Bool // the agent was reaped: its id may be another's
}

// reapMain is the stage _reap, process 1 without any right. Its exit ends the
// sandbox: the kernel kills what is left in the process namespace.
func reapMain() int {
	// Before there is an agent: it has our uid, and never may look into us.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return CannotStart
	}
	ctl, err := wireOf(controlFd)
	if err != nil {
		return CannotStart
	}
	unix.CloseOnExec(preparedFd)
	closeStdio()
	p := &pid1{ctl: ctl, lost: end, release: preparedFd}
	var s reapSpec
	if err = readSpec(specFd, &s); err == nil {
		p.spec, p.agent, p.terminal = s.Agent, s.Prepared, s.Terminal
		err = p.awaitGo()
	}
	if err == nil {
		err = p.letGo()
	}
	if err != nil {
		return report(ctl, err)
	}
	if s.Agent.Grouped {
		p.heard = make(chan bool, 1)
	}
	Settle()
	go p.obey()
	code := p.reap()
	if p.heard != nil {
		<-p.heard // with us ends the group, where the launcher reads what became of it
	}
	return code
}

// end is what process 1 does without a launcher.
func end() { os.Exit(CannotStart) }

// awaitGo waits for the launcher's word that all parts run, and checks it.
func (p *pid1) awaitGo() error {
	m, files, err := p.ctl.receive()
	closeAll(files)
	if err != nil {
		os.Exit(CannotStart) // the launcher is gone; nobody to tell
	}
	if m.Kind != kindGo {
		return fmt.Errorf("unexpected message %q; wanted %q", m.Kind, kindGo)
	}
	if m.Healthy != "" {
		if err := waitHealthy(m.Proxy, m.Healthy); err != nil {
			return err
		}
	}
	p.trials, err = selfTest(m.Reach)
	return err
}

// start starts the command at once.
func (p *pid1) start(s reapSpec) (err error) {
	p.terminal = s.Terminal
	if p.agent, p.release, err = prepare(s); err != nil {
		return err
	}
	closeStdio()
	return p.letGo()
}

// prepare starts the stage _agent, which confines itself, and executes the command
// only after letGo: its process is there by the time that all else is ready. It
// returns that process, and the socket over which it is let go.
func prepare(s reapSpec) (pid, release int, err error) {
	s.Agent.Terminal = s.Terminal
	f, err := specFile(s.Agent)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(pair[1])
	pid, err = syscall.ForkExec("/proc/self/exe", []string{"bottle", stageAgent}, &syscall.ProcAttr{
		Files: []uintptr{0, 1, 2, f.Fd(), uintptr(pair[1])},
		Env:   os.Environ(), // a stage's, see stageEnv
		// A group, not a session: we stay the session's leader, so that the group
		// is not an orphan and ^Z stops it (POSIX, "orphaned process group").
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		unix.Close(pair[0])
		return 0, 0, fmt.Errorf("starting the agent: %w", err)
	}
	return pid, pair[0], nil
}

// letGo has the agent's process execute the command, and tells the launcher
// whether it did. The kernel closes the process's end of the pair when it has;
// an exit code comes over it when it cannot.
func (p *pid1) letGo() error {
	defer unix.Close(p.release)
	var code [1]byte
	// An error is that of a process that has ended, and reap tells how.
	unix.SendmsgN(p.release, code[:], nil, nil, unix.MSG_NOSIGNAL)
	for {
		n, err := unix.Read(p.release, code[:])
		if err == unix.EINTR {
			continue
		}
		if n < 1 {
			code[0] = 0
		}
		if code[0] != CannotStart {
			p.trials = append(p.trials, confinedTrials()...)
		}
		return p.ctl.send(message{Kind: kindStarted, Code: int(code[0]), Trials: p.trials})
	}
}

// closeStdio lets go of the agent's streams, so that they end with the agent.
func closeStdio() {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer null.Close()
	for fd := range 3 {
		unix.Dup3(int(null.Fd()), fd, 0)
	}
}

// obey carries out what the launcher says until it is gone, and then ends the
// sandbox. It is the second line behind PDEATHSIG.
func (p *pid1) obey() {
	for {
		m, files, err := p.ctl.receive()
		if err != nil {
			p.lost()
			return
		}
		switch m.Kind {
		case kindSignal:
			p.signal(syscall.Signal(m.Code))
		case kindSecond:
			p.second(files)
		case kindHeard:
			p.heard <- true
		}
		closeAll(files)
	}
}

func (p *pid1) signal(sig syscall.Signal) {
	to := p.agent
	if sig == syscall.SIGCONT {
		to = -to // its terminal has stopped the whole group
	}
	if !p.gone.Load() {
		unix.Kill(to, sig)
	}
}

// reap waits for every process that is given to process 1, and returns the
// agent's exit code when that has ended.
func (p *pid1) reap() int {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return CannotStart
		case pid != p.agent:
		case ws.Stopped():
			p.ctl.send(message{Kind: kindStopped, Terminal: p.terminal})
		default:
			p.gone.Store(true)
			code := exitCode(ws)
			p.ctl.send(message{Kind: kindExit, Code: code})
			if p.contained {
				return code // the engine keeps it
			}
			return 0
		}
	}
}

// exitCode is the shell's: 128 + n for signal n.
func exitCode(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
