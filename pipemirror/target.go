package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/state"
)

// A target is the pipelock that the command line names.
type target struct {
	bottle, context, config, log string
	pid                          int
	wait                         time.Duration
	restart                      bool
}

func (t *target) flags(f *flag.FlagSet) {
	f.StringVar(&t.bottle, "bottle", "", "")
	f.StringVar(&t.context, "context", "", "")
	f.StringVar(&t.config, "config", "", "")
	f.IntVar(&t.pid, "pid", 0, "")
	f.StringVar(&t.log, "log", "", "")
}

// changeFlags are those of verbs that change what pipelock runs.
func (t *target) changeFlags(f *flag.FlagSet) {
	f.DurationVar(&t.wait, "wait", 5*time.Second, "")
	f.BoolVar(&t.restart, "restart", false, "")
}

// errNone says that the bottle has no pipelock.
var errNone = errors.New("the bottle has no pipelock")

// find is the pipelock, errNone for a bottle without one.
func (t *target) find(ctx context.Context, env *cli.Env) (mirror.Pipelock, error) {
	direct := t.config != "" || t.pid != 0 || t.log != ""
	p := mirror.Pipelock{Wait: t.wait}
	var err error
	switch {
	case t.wait < 0:
		return p, cli.Misused("-wait is %v; wanted more than nothing", t.wait)
	case (t.bottle != "" || t.context != "") && direct:
		return p, cli.Misused("-bottle and the flags of one process; wanted one way to name a pipelock")
	case t.bottle != "":
		p.Place, err = t.ofBottle(ctx, env)
		return p, err
	case t.config == "" || t.pid <= 0 || t.log == "":
		return p, cli.Misused("no pipelock is named; wanted -bottle NAME, or -config FILE -pid PID -log FILE")
	case t.restart:
		return p, cli.Misused("-restart with -pid: %v; wanted -bottle", mirror.ErrNoRestart)
	}
	part, err := state.PartOf(t.pid)
	if err != nil {
		return p, fmt.Errorf("process %d: %w", t.pid, err)
	}
	p.Place = mirror.Local{Config: t.config, Log: t.log, Process: part}
	return p, nil
}

func (t *target) ofBottle(ctx context.Context, env *cli.Env) (mirror.Place, error) {
	b, err := bottles.Find(ctx, env.Getenv, t.context, t.bottle)
	switch {
	case errors.Is(err, bottles.ErrName):
		return nil, cli.Misused("%v", err)
	case errors.Is(err, bottles.ErrAbsent):
		return nil, cli.Refused(err)
	case errors.Is(err, bottles.ErrStopped):
		return nil, fmt.Errorf("pipelock of bottle %q: %w\n%v", t.bottle, state.ErrGone, err)
	case err != nil:
		return nil, err
	}
	if b.Engine != nil {
		id, err := b.Part("pipelock")
		if err != nil {
			return nil, errNone
		}
		return &mirror.Container{Engine: b.Engine, ID: id, Config: mirror.ContainerConfig, Dir: b.Dir}, nil
	}
	part, ok := b.Record.Parts["pipelock"]
	if !ok {
		return nil, errNone
	}
	return mirror.Local{Config: b.Dir.PipelockConfig(), Log: b.Dir.PipelockLog(), Process: part, Starter: true}, nil
}
