package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/state"
)

// stopWait is how long a launcher may take: the agent's grace and its parts'.
const stopWait = grace + 4*stopTime

// stop ends a bottle by its launcher, which knows best how.
func stop(ctx context.Context, env *cli.Env) error {
	flags := env.Flags()
	where := flags.String("context", "", "")
	if err := env.Parse(flags, 1, 1); err != nil {
		return err
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, flags.Arg(0))
	if err != nil {
		return cli.Misused("%v", err)
	}
	rec, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && *where != "" {
		return stopElsewhere(ctx, env, *where, dir.Name())
	}
	if err != nil {
		return err
	}
	if dir.Running() {
		if err := endLauncher(ctx, dir, rec.Launcher); err != nil {
			return err
		}
	}
	return cleanAfter(env, dir)
}

// stopElsewhere ends a bottle that another machine's launcher started: it ends the
// agent, at which the launcher takes the rest down and brings the workspace back.
func stopElsewhere(ctx context.Context, env *cli.Env, where, slug string) error {
	b, err := findBottle(ctx, env, where, slug)
	if err != nil {
		return err
	}
	id, err := b.Part(roleAgent)
	if b.Engine == nil || err != nil {
		return errors.Join(err, fmt.Errorf("bottle %s has no agent to end", slug))
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		err := b.Engine.Signal(ctx, id, sig)
		if err != nil && !errors.Is(err, docker.ErrNotRunning) && !errors.Is(err, docker.ErrNoContainer) {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, stopWait)
		err = poll(wait, func() error {
			left, err := b.Engine.Containers(wait, labelID+"="+b.ID)
			if err == nil && len(left) > 0 {
				err = errRuns
			}
			return err
		})
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("bottle %s: its agent has ended, and its launcher on host %s does not take the rest down\nhint: 'bottlerun gc' on that host, or on this one if that launcher is gone",
		slug, b.Containers[roleAgent].Labels[labelHost])
}

// endLauncher asks the launcher to end, and kills it when it does not: the
// kernel then ends the rest.
func endLauncher(ctx context.Context, dir state.Dir, launcher state.Part) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		err := launcher.Signal(sig)
		if err != nil && !errors.Is(err, state.ErrGone) {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, stopWait)
		err = poll(wait, func() error {
			// The lock falls a moment before the process is gone.
			if dir.Running() || launcher.Alive() {
				return errRuns
			}
			return nil
		})
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("bottle %s: %w\nhint: another process holds %s", dir.Name(), errRuns, dir.Lock())
}

var errRuns = errors.New("it still runs")

// cleanAfter removes what is left, unless somebody starts the bottle again.
func cleanAfter(env *cli.Env, dir state.Dir) error {
	release, err := dir.Hold()
	if errors.Is(err, state.ErrRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer release()
	rec, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return cleanStale(env, dir, rec)
}
