package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// A Sandbox is one that runs. It ends with the agent, with Kill, and with the
// process that called Start, however that ends.
type Sandbox struct {
	l         *launch
	listeners map[string]*os.File
	streams   *streams
	exit      chan int // the agent's code, if it has one
	ended     chan struct{}
	refused   int
	trials    []Trial
	group     *Group
	killed    int // by the kernel, for want of memory
	killOnce  sync.Once
	served    *net.UnixListener // of Serve, at the path socket
	socket    string
	w         *Workspace
	guard     *guard
}

// Start is Begin and Built.
func Start(cfg Config) (*Sandbox, error) {
	sb, err := Begin(cfg)
	if err == nil {
		err = sb.Built()
	}
	if err != nil {
		return nil, err
	}
	return sb, nil
}

// Begin has the sandbox built, by its own first process, while the caller does
// something else.
func Begin(cfg Config) (*Sandbox, error) {
	if len(cfg.Args) == 0 || cfg.Args[0] == "" {
		return nil, errors.New("no command for the agent")
	}
	if cfg.Workspace == nil || cfg.Workspace.dir == nil {
		return nil, errors.New("no workspace")
	}
	l := &launch{id: cfg.Workspace.owner}
	sb := &Sandbox{l: l, exit: make(chan int, 1), ended: make(chan struct{}), listeners: map[string]*os.File{}, group: cfg.Group, w: cfg.Workspace}
	if err := sb.begin(cfg); err != nil {
		sb.Abandon()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return sb, nil
}

func (sb *Sandbox) begin(cfg Config) error {
	s, err := sb.l.spec(cfg)
	if err != nil {
		return err
	}
	if sb.streams, err = openStreams(cfg.Stdin, cfg.Stdout, cfg.Stderr, cfg.Terminal); err != nil {
		return err
	}
	s.Rows, s.Cols, sb.l.theirs = sb.streams.rows, sb.streams.cols, sb.streams.theirs
	if err := sb.l.id.give(sb.l.theirs); err != nil {
		return err
	}
	return sb.l.clone(s)
}

// Built waits until the sandbox is: afterwards the listeners exist and nothing of
// the agent's runs. Go lets it. The error says what could not be built; nothing is
// left then.
func (sb *Sandbox) Built() error {
	if err := sb.awaitReady(); err != nil {
		sb.Abandon()
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

func (sb *Sandbox) awaitReady() error {
	m, files, err := sb.l.ctl.await(kindReady, startTimeout)
	if err != nil {
		return err
	}
	if len(files) != len(m.Names) {
		closeAll(files)
		return fmt.Errorf("%d descriptors for %d names from the sandbox", len(files), len(m.Names))
	}
	for i, name := range m.Names {
		sb.listeners[name] = files[i]
	}
	closeAll(sb.l.extra)
	sb.l.extra = nil
	sb.streams.handedOver()
	return sb.place()
}

// place puts process 1, which waits for that, into its control group.
func (sb *Sandbox) place() error {
	if sb.group == nil {
		return nil
	}
	if err := sb.group.place(sb.Pid()); err != nil {
		return err
	}
	if err := sb.l.ctl.send(message{Kind: kindPlaced}); err != nil {
		return ErrLost
	}
	return nil
}

// Listener is the listening socket of that name in Config.Listen, open until
// Wait returns.
func (sb *Sandbox) Listener(name string) *os.File { return sb.listeners[name] }

// Pid is the process id, on the host, of the sandbox's process 1; killing that
// ends all of it.
func (sb *Sandbox) Pid() int { return sb.l.cmd.Process.Pid }

// Go has the self-test run inside, and c checked, and lets the agent start. On
// an error nothing of the agent's has run.
func (sb *Sandbox) Go(c Check) error {
	reach, done, err := OpenCanaries()
	defer done()
	if err != nil {
		return err
	}
	if sb.guard, err = startGuard(sb.Pid(), sb.w, sb.Kill); err != nil {
		return err
	}
	if err := sb.l.ctl.send(message{Kind: kindGo, Healthy: c.Healthy, Reach: append(reach, c.Reach...)}); err != nil {
		return ErrLost
	}
	m, _, err := sb.l.ctl.await(kindStarted, startTimeout+healthTimeout)
	if err != nil {
		return err
	}
	sb.refused, sb.trials = m.Code, m.Trials
	master := sb.listeners[terminalName]
	delete(sb.listeners, terminalName)
	if err := sb.streams.relay(master); err != nil {
		return err
	}
	go func() {
		hear(sb.l.ctl, sb.streams, sb.exit)
		close(sb.ended)
	}()
	return nil
}

// Ended is closed when the agent has ended, a moment before all else in the sandbox.
func (sb *Sandbox) Ended() <-chan struct{} { return sb.ended }

// Refused is, after Go, the exit code of a command that could not be executed, as
// Wait returns it, and 0 of one that runs.
func (sb *Sandbox) Refused() int { return sb.refused }

// Tested is, after Go, what the self-test has tried.
func (sb *Sandbox) Tested() []Trial { return sb.trials }

// hear hears what process 1, or _second, says until the command has ended, and
// tells the exit code, if there is one.
func hear(ctl *wire, st *streams, exit chan<- int) {
	defer close(exit)
	for {
		m, files, err := ctl.receive()
		closeAll(files)
		switch {
		case err != nil:
			return
		case m.Kind == kindExit:
			exit <- m.Code
			return
		case m.Kind == kindStopped && st.suspend():
			sendSignal(ctl, syscall.SIGCONT)
		}
	}
}

// Wait waits, after Go, for the end of the agent and of all it started. The
// code is the agent's own, 128 + n when signal n ended it. ErrLost: something
// else ended the sandbox, Kill for one.
func (sb *Sandbox) Wait() (int, error) {
	code, ok := <-sb.exit
	if sb.guard != nil {
		sb.guard.stop() // else the sandbox's mounts would be ours to take down
	}
	if ok && sb.group != nil {
		sb.killed = sb.group.killed()
		sb.l.ctl.send(message{Kind: kindHeard})
	}
	if !ok {
		sb.Kill() // whatever went wrong with the control socket
	}
	<-sb.l.done
	sb.streams.finish()
	sb.release()
	if !ok {
		return CannotStart, sb.lost()
	}
	return code, nil
}

// Killed is, after Wait, how many processes the kernel has killed since the control
// group's memory was used up.
func (sb *Sandbox) Killed() int { return sb.killed }

// Signal sends sig to the agent, as if to the command itself.
func (sb *Sandbox) Signal(sig os.Signal) error { return sendSignal(sb.l.ctl, sig) }

// Kill ends the sandbox and everything in it at once. Wait still has to be
// called after Go.
func (sb *Sandbox) Kill() {
	if sb.l.cmd == nil || sb.l.done == nil {
		return
	}
	sb.killOnce.Do(func() { sb.l.cmd.Process.Kill() })
}

// Abandon is Kill and Wait for a sandbox whose agent never started.
func (sb *Sandbox) Abandon() {
	sb.Kill()
	if sb.l.done != nil {
		<-sb.l.done
	}
	sb.release()
}

func (sb *Sandbox) release() {
	if sb.guard != nil {
		sb.guard.stop()
	}
	sb.unserve()
	for name := range sb.listeners {
		sb.listeners[name].Close()
	}
	if sb.streams != nil {
		sb.streams.close()
	}
	sb.l.close()
}
