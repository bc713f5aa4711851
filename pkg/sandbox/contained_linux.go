package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Inside a container the engine has made the namespaces, mounts and streams,
// and dropped the capabilities. What is left is the second half of a sandbox:
//
//	_contained  process 1 of the agent's container: self-test, starts the agent,
//	            reaps, signals, and ends with the bottle
//	_led        the agent's process, as _agent
//	_confined   the same for one more command in a running container
//
// The launcher's word comes over a socket on a volume, which one of the
// bottle's other parts relays (part_linux.go); when that ends, the launcher or
// the part is gone, and process 1 ends the container.

// containedMain is the stage _contained.
func containedMain(command []string) int {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return cannot(err)
	}
	if len(command) == 0 {
		return cannot(errors.New("no command"))
	}
	ended := make(chan os.Signal, 4)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	ctl, err := dialControl(InitSocket)
	if err != nil {
		return cannot(err)
	}
	p := &pid1{ctl: ctl, contained: true, lost: end}
	if err = ctl.send(message{Kind: kindReady}); err == nil {
		err = p.awaitGo()
	}
	if err == nil {
		err = errors.Join(refuseRoot(), refuseOpenTop("/"))
	}
	if err == nil {
		awaitSize()
		err = p.startContained(command)
	}
	if err != nil {
		return report(ctl, err)
	}
	go p.obey()
	go p.passOn(ended)
	return p.reap()
}

// passOn gives the agent what the engine's stop sends to process 1.
func (p *pid1) passOn(signals <-chan os.Signal) {
	for sig := range signals {
		if n, ok := sig.(syscall.Signal); ok && !p.gone.Load() {
			unix.Kill(p.agent, n)
		}
	}
}

// dialControl waits for the relay, which may start after this process. A socket
// that nobody listens on is one whose relay has ended, and its launcher with it,
// but for the moment between bind(2) and listen(2).
func dialControl(path string) (*lines, error) {
	late, refused := time.Now().Add(startTimeout), false
	for {
		c, err := net.Dial("unix", path)
		if err == nil {
			return newLines(c, c), nil
		}
		if errors.Is(err, unix.ECONNREFUSED) && !refused {
			late, refused = time.Now().Add(relayMoment), true
		}
		if time.Now().After(late) {
			return nil, fmt.Errorf("the launcher is not there: %w", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// relayMoment is how long a relay may take from its socket's name to its listening.
const relayMoment = time.Second

// sizeTimeout is how long a terminal may be without a size: the engine's client
// sets it only after the start, and some programs ask but once.
const sizeTimeout = time.Second

func awaitSize() {
	for late := time.Now().Add(sizeTimeout); time.Now().Before(late); time.Sleep(2 * time.Millisecond) {
		ws, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		if err != nil || ws.Col > 0 {
			return // no terminal, or one with a size
		}
	}
}

// startContained starts the command by way of the stage _led.
func (p *pid1) startContained(command []string) error {
	_, noTerminal := unix.IoctlGetTermios(0, unix.TCGETS)
	p.terminal = noTerminal == nil
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.release = pair[0]
	p.agent, err = syscall.ForkExec("/proc/self/exe", append([]string{"bottle", stageLed}, command...), &syscall.ProcAttr{
		Files: []uintptr{0, 1, 2, ^uintptr(0), uintptr(pair[1])}, Env: os.Environ(),
		Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: p.terminal},
	})
	unix.Close(pair[1])
	if err != nil {
		return fmt.Errorf("starting the agent: %w", err)
	}
	closeStdio()
	return p.letGo()
}

// ledMain is the stage _led: _confined, for process 1, which learns whether the
// command was executed (see letGo).
func ledMain(command []string) int {
	unix.CloseOnExec(releaseFd)
	code := confinedMain(command)
	unix.SendmsgN(releaseFd, []byte{byte(code)}, nil, nil, unix.MSG_NOSIGNAL)
	return code
}

// confinedMain is the stage _confined: it gives up what the engine left and
// becomes the command. The limits are the container's.
func confinedMain(command []string) int {
	if len(command) == 0 {
		return cannot(errors.New("no command"))
	}
	if err := errors.Join(refuseRoot(), confineContained()); err != nil {
		return cannot(err)
	}
	if err := selfTestConfined(); err != nil {
		return cannot(err)
	}
	return become(agentSpec{Args: command, Env: os.Environ()}, "hint: the command is looked for in the agent's image and the workspace")
}

// refuseRoot: the engine looks names up in the container's own /etc/passwd, which
// it may read otherwise than the launcher, and again for each command.
func refuseRoot() error {
	if os.Geteuid() == 0 {
		return errors.New("the agent's user is root in its container; wanted one that is not\nhint: USER with a number in the image's Dockerfile")
	}
	return nil
}

// refuseOpenTop: who may write to the top folder may move /run away, and put a
// program of its own where the next command's _confined is looked for.
func refuseOpenTop(top string) error {
	if unix.Access(top, unix.W_OK) == nil {
		return fmt.Errorf("the image's top folder %s can be written to by its agent; wanted one of root's\nhint: RUN chown root:root / && chmod 755 / as root, at the end of the image's Dockerfile", top)
	}
	return nil
}

// confineContained is confine where the engine's own filter may refuse some of
// the steps, in which case nothing is left to give up.
func confineContained() error {
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && err != unix.ENOSYS && err != unix.EPERM {
		return fmt.Errorf("session keyring: %w", err)
	}
	if err := noCores(); err != nil {
		return err
	}
	if err := landlockScope(); err != nil && !errors.Is(err, unix.EPERM) {
		return err
	}
	return filterSyscalls()
}
