package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/state"
)

// A target is the pipelock that the command line names.
type target struct {
	bottle, config, log string
	pid                 int
	wait                time.Duration
}

func (t *target) flags(f *flag.FlagSet) {
	f.StringVar(&t.bottle, "bottle", "", "")
	f.StringVar(&t.config, "config", "", "")
	f.IntVar(&t.pid, "pid", 0, "")
	f.StringVar(&t.log, "log", "", "")
}

func (t *target) waitFlag(f *flag.FlagSet) {
	f.DurationVar(&t.wait, "wait", 5*time.Second, "")
}

// errNone says that the bottle has no pipelock.
var errNone = errors.New("the bottle has no pipelock")

// find is the pipelock, errNone for a bottle without one.
func (t *target) find(env *cli.Env) (mirror.Pipelock, error) {
	direct := t.config != "" || t.pid != 0 || t.log != ""
	switch {
	case t.wait < 0:
		return mirror.Pipelock{}, cli.Misused("-wait is %v; wanted more than nothing", t.wait)
	case t.bottle != "" && direct:
		return mirror.Pipelock{}, cli.Misused("-bottle and the flags of one process; wanted one way to name a pipelock")
	case t.bottle != "":
		return t.ofBottle(env)
	case t.config == "" || t.pid <= 0 || t.log == "":
		return mirror.Pipelock{}, cli.Misused("no pipelock is named; wanted -bottle NAME, or -config FILE -pid PID -log FILE")
	}
	part, err := state.PartOf(t.pid)
	if err != nil {
		return mirror.Pipelock{}, fmt.Errorf("process %d: %w", t.pid, err)
	}
	return mirror.Pipelock{Config: t.config, Log: t.log, Process: part, Wait: t.wait}, nil
}

func (t *target) ofBottle(env *cli.Env) (mirror.Pipelock, error) {
	root, err := state.Root(env.Getenv)
	if err != nil {
		return mirror.Pipelock{}, err
	}
	dir, err := state.At(root, t.bottle)
	if err != nil {
		return mirror.Pipelock{}, cli.Misused("%v", err)
	}
	record, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return mirror.Pipelock{}, cli.Refusedf("no bottle %q\nhint: 'routesctl list' names those that run", t.bottle)
	}
	if err != nil {
		return mirror.Pipelock{}, err
	}
	part, ok := record.Parts["pipelock"]
	if !ok {
		return mirror.Pipelock{}, errNone
	}
	if record.Boot != "" && record.Boot != state.Boot() {
		return mirror.Pipelock{}, fmt.Errorf("pipelock of bottle %q: %w", t.bottle, state.ErrGone)
	}
	return mirror.Pipelock{Config: dir.PipelockConfig(), Log: dir.PipelockLog(), Process: part, Wait: t.wait}, nil
}

// readConfig reads the configuration of p.
func readConfig(p mirror.Pipelock) ([]byte, error) {
	data, err := os.ReadFile(p.Config)
	if err == nil && len(data) > mirror.MaxBytes {
		err = cli.Refusedf("%s: larger than %d bytes", p.Config, mirror.MaxBytes)
	}
	return data, err
}
