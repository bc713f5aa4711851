package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// makeParts makes and starts all but the agent. In the mode none the proxy's side
// and the agent's do not need each other; in the mode bridge the agent's
// environment has the proxy's address.
func (d *dock) makeParts() error {
	if d.bridged() {
		if err := d.findInner(); err != nil {
			return err
		}
		if err := d.makeProxy(); err != nil {
			return err
		}
		if err := d.findProxy(); err != nil {
			return err
		}
		return d.makeInside()
	}
	d.proxyA = sandbox.ProxyAddr
	return d.together(d.makeProxy, d.makeInside)
}

func (d *dock) makeProxy() error {
	if err := d.create(d.proxyContainer()); err != nil {
		return err
	}
	if d.bridged() {
		// Not at the create: engines before 25 take one network there.
		if _, err := d.engine.Output(d.ctx, nil, "network", "connect", d.object(netIn), d.object(roleProxy)); err != nil {
			return err
		}
	}
	if err := d.deliverProxy(); err != nil {
		return err
	}
	log, err := accesslog.OpenFile(d.dir.AccessLog())
	if err != nil {
		return err
	}
	d.proxyPart, _, err = d.startPart(roleProxy, keptLog{log})
	return err
}

// makeInside makes what is in the agent's network: first superviser, which holds
// it, then the agent.
func (d *dock) makeInside() error {
	if err := d.create(d.superContainer()); err != nil {
		return err
	}
	if err := d.together(d.startSuper, d.makeAgent); err != nil {
		return err
	}
	return d.awaitUp()
}

func (d *dock) startSuper() error {
	if err := d.deliverSuper(); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	part, in, err := d.startPart(roleSuper, w)
	d.superPart = part
	d.remote = sandbox.NewRemote(r, in)
	return err
}

// awaitUp waits until superviser serves and egress-proxy has the listener.
func (d *dock) awaitUp() error {
	return d.unlessDead(func() error { return d.remote.Up() })
}

// unlessDead waits for a step, or for the end of a part before that.
func (d *dock) unlessDead(step func() error) error {
	done := make(chan error, 1)
	go func() { done <- step() }()
	select {
	case err := <-done:
		return err
	case m := <-d.died:
		return m.death()
	case <-d.ctx.Done():
		return d.ctx.Err()
	case <-time.After(healthTimeout + 10*time.Second):
		return fmt.Errorf("the bottle's parts are not ready; their logs are in %s", d.dir)
	}
}

// makeAgent makes the agent's container with all that has to be in it.
func (d *dock) makeAgent() error {
	d.askUser()
	env, err := d.agentVariables()
	if err != nil {
		return err
	}
	if err := d.create(d.agentContainer(env)); err != nil {
		return err
	}
	if err := d.checkLinks(); err != nil {
		return err
	}
	passwd, err := d.findUser()
	if err != nil {
		return err
	}
	return d.together(func() error { return d.deliverAgent(passwd) }, d.sendWork)
}

// letGo starts the agent's container, whose process 1 runs the self-test and
// then, on the launcher's word, the agent.
func (d *dock) letGo() error {
	d.client = d.startClient(roleAgent)
	d.client.cmd.Stdin = d.env.Stdin
	d.client.cmd.Stdout, d.client.cmd.Stderr = d.back.streams(d.env)
	d.client.cmd.SysProcAttr = tied(d.back.terminal(d.env))
	if err := d.client.run(nil); err != nil {
		return err
	}
	reach, done, err := d.canaries()
	defer done()
	if err != nil {
		return err
	}
	told := make(chan error, 1)
	go func() {
		err := d.remote.Await()
		if err == nil {
			err = d.remote.Go(sandbox.Check{Healthy: healthz, Proxy: d.proxyA, Reach: reach})
		}
		told <- err
	}()
	select {
	case err = <-told:
	case <-d.ctx.Done():
		d.kill()
		err = d.ctx.Err()
	case <-d.client.ended:
		code, inspected := d.exitOf(d.object(roleAgent))
		if inspected != nil {
			return inspected
		}
		select {
		case err = <-told: // its own words, which come by another way
		case <-time.After(time.Second):
			err = fmt.Errorf("the agent's container ended with exit status %d", code)
		}
	}
	if err != nil {
		d.keep = errors.Is(err, sandbox.ErrLost) // whether the agent has run is not known
		return cli.Exit(sandbox.CannotStart, err)
	}
	return nil
}

// wait returns the agent's exit code, as the engine has it and not its client,
// once the workspace is back.
func (d *dock) wait() (int, error) {
	<-d.client.ended
	code, err := d.ended()
	if err != nil {
		d.kill()
	}
	if lost := d.bringBack(); lost != nil {
		return sandbox.CannotStart, lost
	}
	return code, err
}

// ended is the exit code; the client may be quicker than the engine's books.
func (d *dock) ended() (code int, err error) {
	for late := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if code, err = d.exitOf(d.object(roleAgent)); err == nil || time.Now().After(late) {
			return code, err
		}
	}
}

func (d *dock) tested() []sandbox.Trial { return d.remote.Tested() }

func (d *dock) signal(sig os.Signal) error {
	if sig == syscall.SIGINT && d.back.terminal(d.env) {
		return nil // typed into a terminal that was not raw yet, or no more
	}
	return d.remote.Signal(sig)
}

func (d *dock) kill() {
	d.cancel()
	ctx, cancel := d.deadline()
	defer cancel()
	d.engine.Signal(ctx, d.object(roleAgent), syscall.SIGKILL)
}

// close removes everything, the agent first. What could not be brought back of
// the workspace stays.
func (d *dock) close() {
	d.cancel()
	if d.space != nil {
		if d.swaps != nil {
			noteReplaced(d.env, "from then on", d.swaps())
			notePlanted(d.env, d.space)
		}
		d.space.Close()
	}
	if !d.made {
		return
	}
	d.proxyPart.stop()
	d.superPart.stop()
	d.lockPart.stop()
	ctx, cancel := d.deadline()
	defer cancel()
	if err := sweep(ctx, d.engine, d.id, d.keep); err != nil {
		note(d.env, "%v\nhint: 'bottlerun gc' tries again", err)
	}
}
