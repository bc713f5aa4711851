package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"bottle/pkg/sandbox"
)

// An attached is a container that this process has started and holds by its
// streams, through a client of the engine. The client dies with this process, and
// with its standard input process 1 of a part ends.
type attached struct {
	d     *dock
	name  string // the role
	log   string // of a part: its standard error
	cmd   *exec.Cmd
	in    io.Closer     // of a part
	ended chan struct{} // closed when the client has ended
}

// detachKeys are what nobody types: docker's own, ^P ^Q, would take ^P from the agent.
const detachKeys = "ctrl-^,ctrl-],ctrl-^,ctrl-]"

// client is a client that starts a container and stays with it.
func (d *dock) startClient(role string) *attached {
	cmd := d.engine.Command(context.Background(), "start", "--attach", "--interactive", "--detach-keys", detachKeys, d.object(role))
	return &attached{d: d, name: role, log: d.dir.Log(role), cmd: cmd, ended: make(chan struct{})}
}

// run starts the client; who is told of its end.
func (a *attached) run(who chan<- mortal) error {
	done, err := sandbox.StartTied(a.cmd)
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	go func() {
		<-done
		close(a.ended)
		if who != nil {
			who <- a
		}
	}()
	return nil
}

// startPart starts a part's container. Its standard error is kept here as well.
func (d *dock) startPart(role string, stdout io.Writer) (a *attached, in io.Writer, err error) {
	a = d.startClient(role)
	log, err := os.OpenFile(a.log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	a.cmd.Stdout, a.cmd.Stderr, a.cmd.SysProcAttr = stdout, log, tied(false)
	w, err := a.cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	a.in = w
	return a, w, a.run(d.died)
}

// stop ends the part, at once if it does not end by itself. The container stays.
func (a *attached) stop() {
	if a == nil {
		return
	}
	a.in.Close()
	select {
	case <-a.ended:
	case <-time.After(stopTime):
	}
}

// death says that the part has ended although nobody asked it to.
func (a *attached) death() error {
	how := "its state is not known"
	ctx, cancel := a.d.deadline()
	defer cancel()
	switch c, err := a.d.engine.Inspect(ctx, a.d.object(a.name)); {
	case err != nil:
		how = err.Error()
	case c.Running():
		how = fmt.Sprintf("the connection to %v was lost", a.d.engine)
	case c.OOMKilled:
		how = "it reached its limit of memory"
	default:
		how = fmt.Sprintf("exit status %d", c.ExitCode)
	}
	msg := fmt.Sprintf("%s ended (%s)", a.name, how)
	if last := lastLines(a.log, 3); last != "" {
		msg += ":\n" + last
	}
	return errors.New(msg + "\nhint: its log is " + a.log)
}
