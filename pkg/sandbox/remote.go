package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// A Remote is the launcher's end of a contained process 1 (contained_linux.go),
// over the streams of the part that relays for it (part_linux.go).
type Remote struct {
	ctl  *lines
	said chan struct{} // closed when said is set
	code int
	err  error
	// What is known after Go: the exit code of a command that could not be
	// executed, and what the self-test has tried.
	refused int
	trials  []Trial
}

// NewRemote is the launcher's end over what the part prints and reads.
func NewRemote(r io.Reader, w io.Writer) *Remote {
	return &Remote{ctl: newLines(r, w), said: make(chan struct{})}
}

// Up waits until the part that relays has its program running, and all that it
// lends is taken.
func (r *Remote) Up() error {
	_, err := r.await(kindUp)
	return err
}

// Await waits until process 1 has reported. The caller ends the streams when it
// will not.
func (r *Remote) Await() error {
	_, err := r.await(kindReady)
	return err
}

// Go has the self-test run inside and lets the agent start. On an error nothing
// of the agent's has run.
func (r *Remote) Go(c Check) error {
	if err := r.ctl.send(message{Kind: kindGo, Healthy: c.Healthy, Proxy: c.Proxy, Reach: c.Reach}); err != nil {
		return ErrLost
	}
	m, err := r.await(kindStarted)
	if err != nil {
		return err
	}
	r.refused, r.trials = m.Code, m.Trials
	go r.listen()
	return nil
}

// Refused is Sandbox's.
func (r *Remote) Refused() int { return r.refused }

// Tested is Sandbox's.
func (r *Remote) Tested() []Trial { return r.trials }

func (r *Remote) await(kind string) (message, error) {
	m, _, err := r.ctl.receive()
	switch {
	case err != nil, m.Kind == kindGone:
		return m, ErrLost
	case m.Kind == kindError:
		return m, errors.New(m.Text)
	case m.Kind != kind:
		return m, fmt.Errorf("unexpected message %q from the sandbox; wanted %q", m.Kind, kind)
	}
	return m, nil
}

// listen hears what process 1 says until the agent has ended. One that has
// stopped itself goes on: its terminal is the engine's client's, which knows no
// job control.
func (r *Remote) listen() {
	defer close(r.said)
	for {
		m, _, err := r.ctl.receive()
		switch {
		case err != nil:
			r.err = ErrLost
			return
		case m.Kind == kindExit:
			r.code = m.Code
			return
		case m.Kind == kindGone:
			r.err = ErrLost
			return
		case m.Kind == kindStopped && m.Terminal:
			r.Signal(syscall.SIGCONT)
		}
	}
}

// Wait waits, after Go, until process 1 has said the agent's exit code, or
// ErrLost when nothing more is to be heard from it.
func (r *Remote) Wait() (int, error) {
	<-r.said
	return r.code, r.err
}

// Signal sends sig to the agent, as if to the command itself.
func (r *Remote) Signal(sig os.Signal) error { return sendSignal(r.ctl, sig) }
