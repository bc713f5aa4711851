package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"

	"bottle/pkg/bottle"
	"bottle/pkg/carry"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// A dock is a bottle of the docker backend: everything is a container. The
// superviser's holds the network that the agent has, an empty one in the mode
// none; its process 1 opens the agent's only way out there, passes that listener
// to egress-proxy's container, and relays between the launcher and process 1 of
// the agent's.
//
//	docker_names.go       names, labels, paths
//	docker_image.go       the image of our parts
//	docker_agentimage.go  the operator's image, and who the agent is in it
//	docker_create.go      networks, volumes, containers, and their hardening
//	docker_deliver.go     files into volumes
//	docker_parts.go       parts that run, held by their standard input
//	docker_jail.go        the agent: start, streams, signals, end
//	docker_work.go        the workspace, in and out
//	docker_gc.go          what a killed launcher left
type dock struct {
	*running
	ctx    context.Context // of all calls to the engine but those of the end
	cancel context.CancelFunc
	engine *docker.Engine
	id     string
	labels map[string]string
	image  string // of the parts
	agent  agentImage
	// dockerfile is what the agent's image was built from, nil where the manifest
	// names a finished one.
	dockerfile []byte
	user       agentUser
	proxyA     string // HOST:PORT of the proxy, for the agent
	inner      string // the network that both are in, as CIDR, in the mode bridge
	remote     *sandbox.Remote
	upstream   string // the canary's address, in doctor's bottle

	key, roots, lockCA []byte // the authority's key; what the proxy trusts; pipelock's authority

	proxyPart, superPart, lockPart *attached
	client                         *attached // the agent's
	space                          *sandbox.Workspace
	swaps                          func() []string // of a workspace that is bound
	owner                          agentUser       // of the workspace
	sent                           carry.Snapshot
	made                           bool // objects may be there
	keep                           bool // the workspace's volume stays
}

func newDock(r *running) *dock {
	d := &dock{running: r, engine: docker.Open(r.getenv, r.context), id: newID(r.name)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.labels = runLabels(r.name, d.id)
	d.engine.Warn = func(line string) { note(r.env, "%s", line) }
	return d
}

// steps are those of a start, in order.
func (d *dock) steps() []func() error {
	return []func() error{d.openWorkspace, d.lookAround, d.openRecord, d.makeAuthority, d.makePlaces,
		d.startLock, d.makeParts, d.fillRecord}
}

// lookAround asks the engine all that has to be known first.
func (d *dock) lookAround() error {
	return d.together(
		d.evict,
		d.findEngine,
		func() (err error) { d.image, err = partsImage(d.ctx, d.engine); return err },
		d.findAgentImage)
}

// openRecord says that this bottle exists, and on which engine.
func (d *dock) openRecord() error {
	d.runID = d.id
	return d.running.openRecord()
}

func (d *dock) findEngine() error {
	where, host, err := d.engine.Where(d.ctx)
	d.runEngine = &state.Engine{Program: d.engine.Program, Context: where, Host: host}
	return err
}

// together runs the steps at once. The first that fails breaks off the others'
// calls to the engine, and its error is the one that is told.
func (d *dock) together(steps ...func() error) error {
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for _, step := range steps {
		wg.Go(func() {
			if err := step(); err != nil {
				once.Do(func() { first = err; d.cancel() })
			}
		})
	}
	wg.Wait()
	return first
}

func (d *dock) object(what string) string { return object(d.name, what) }

// bridged tells the mode bridge.
func (p *plan) bridged() bool { return p.network == networkBridge }

// agentEnv is the agent's whole environment.
func (d *dock) agentVariables() ([]string, error) {
	out := bottle.Outlet{ProxyURL: d.proxyURL(), CAFile: sandbox.CAFile, CABundle: sandbox.BundleFile, Files: sandbox.RunDir,
		NodeOptions: d.agent.variable("NODE_OPTIONS")}
	env := []string{"PATH=" + d.agent.path(), "SHELL=/bin/sh", "BOTTLE_SUPERVISE=" + sandbox.Supervise}
	if d.user.home == sandbox.Home {
		env = append(env, "HOME="+sandbox.Home)
	}
	for _, name := range passed {
		if v := d.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	more, err := bottle.Env(d.manifest, out)
	env = override(env, more)
	if d.bind && d.agent.variable("GOFLAGS") == "" {
		env = unstamped(env, d.space)
	}
	return env, err
}

func (d *dock) proxyURL() string { return "http://" + d.proxyA }

// pid is none of this machine's.
func (d *dock) pid() int { return 0 }

func (d *dock) gone() <-chan struct{} { return nil }

// deadline is the context for the calls of the end, which are made also when the
// start was broken off.
func (d *dock) deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), docker.Limit)
}

// exitOf is what the engine says of an ended container.
func (d *dock) exitOf(container string) (int, error) {
	ctx, cancel := d.deadline()
	defer cancel()
	c, err := d.engine.Inspect(ctx, container)
	switch {
	case err != nil:
		return 0, err
	case c.Running():
		return 0, fmt.Errorf("the connection to %v was lost while the agent ran", d.engine)
	case c.OOMKilled:
		note(d.env, "the agent's processes reached the limit of memory; the kernel killed one")
	}
	return c.ExitCode, nil
}

// tied is what every client of the engine runs as: it dies with this process, and
// a signal from the terminal is not its own but where it has the terminal.
func tied(terminal bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: !terminal} }

// terminal reports whether the agent gets one.
func terminal(env *cli.Env) bool { return isTerminal(env.Stdin) && isTerminal(env.Stdout) }
