package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// logParts are the parts that have a log.
var logParts = []string{roleAgent, roleProxy, roleSuper, rolePipelock}

// logs prints what the agent asked for, or what a part says.
func logs(ctx context.Context, env *cli.Env) error {
	flags := env.Flags()
	follow := flags.Bool("f", false, "")
	where := flags.String("context", "", "")
	if err := env.Parse(flags, 1, 2); err != nil {
		return err
	}
	slug, part := flags.Arg(0), flags.Arg(1)
	if part != "" && !slices.Contains(logParts, part) {
		return cli.Misused("no part %q; wanted one of %s", part, strings.Join(logParts, ", "))
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, slug)
	if err != nil {
		return cli.Misused("%v", err)
	}
	file := dir.AccessLog()
	if part != "" {
		file = dir.Log(part)
	}
	if *where == "" {
		t := &tail{env: env, path: file, running: func() bool { return false }}
		if *follow {
			t.running = runs(dir)
		}
		if err := t.print(ctx); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return engineLogs(ctx, env, *where, slug, part, *follow)
}

// engineLogs is for a bottle that was started on another machine.
func engineLogs(ctx context.Context, env *cli.Env, where, slug, part string, follow bool) error {
	b, err := findBottle(ctx, env, where, slug)
	if err == nil && b.Engine == nil {
		err = cli.Refusedf("bottle %s has no such log", slug)
	}
	if err != nil && part == roleAgent {
		err = fmt.Errorf("%w\nhint: only the output of an agent in the background is kept; see 'bottlerun start -h'", err)
	}
	if err != nil {
		return err
	}
	role := part
	if part == "" {
		role = roleProxy
	}
	id, err := b.Part(role)
	if err != nil {
		return cli.Refused(err)
	}
	args := []string{"logs"}
	if follow {
		args = append(args, "--follow")
	}
	cmd := b.Engine.Command(ctx, append(args, id)...)
	cmd.Stdout = env.Stdout // requests
	switch part {
	case "":
	case roleAgent:
		cmd.Stderr = env.Stdout
	default:
		cmd.Stdout, cmd.Stderr = io.Discard, env.Stdout // diagnostics
	}
	if err := cmd.Run(); ctx.Err() == nil {
		return err
	}
	return nil // the operator has seen enough
}

// runs reports whether the bottle runs that runs now, and not a later one of its
// name, whose logs begin anew.
func runs(dir state.Dir) func() bool {
	rec, err := dir.Load()
	if err != nil || !dir.Running() {
		return dir.Running
	}
	return rec.Launcher.Alive
}

// A tail prints a log, after its predecessor PATH.1 if there is one, and what is
// written after it, also once PATH is another file, while its bottle runs.
type tail struct {
	env     *cli.Env
	path    string
	running func() bool
	f       *os.File
}

func (t *tail) print(ctx context.Context) (err error) {
	t.f, err = os.Open(t.path)
	if _, moved := os.Lstat(t.path + ".1"); err != nil && moved == nil {
		time.Sleep(10 * time.Millisecond) // it is being begun anew
		t.f, err = os.Open(t.path)
	}
	if err != nil {
		return err
	}
	defer func() { t.f.Close() }()
	if err := t.predecessor(); err != nil {
		return err
	}
	for {
		last := !t.running() // asked first: what is there by now is all
		if err := t.copy(); err != nil || last {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// predecessor prints PATH.1, unless that is the file itself by now.
func (t *tail) predecessor() error {
	old, err := os.Open(t.path + ".1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer old.Close()
	if sameFile(old, t.f) {
		return nil
	}
	_, err = io.Copy(t.env.Stdout, old)
	return err
}

// copy prints the rest of the file, and of the one that has taken its place.
func (t *tail) copy() error {
	next, err := os.Open(t.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // else it is between two files
	}
	// After that: who moves a file away writes no more to it.
	if _, err := io.Copy(t.env.Stdout, t.f); err != nil || next == nil {
		return err
	}
	if sameFile(next, t.f) {
		return next.Close()
	}
	if old, err := os.Open(t.path + ".1"); err == nil {
		if !sameFile(old, t.f) {
			note(t.env, "lines are missing: the log was begun anew more than once since the last one")
		}
		old.Close()
	}
	t.f.Close()
	t.f = next
	_, err = io.Copy(t.env.Stdout, t.f)
	return err
}

func sameFile(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
