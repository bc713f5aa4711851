package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// stopWait is how long a launcher may take: the agent's grace and its parts'.
const stopWait = grace + 4*stopTime

// stop ends a bottle by its launcher, which knows best how.
func stop(ctx context.Context, env *cli.Env) error {
	if err := env.Parse(env.Flags(), 1, 1); err != nil {
		return err
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, env.Args[0])
	if err != nil {
		return cli.Misused("%v", err)
	}
	rec, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Refusedf("no bottle %s\nhint: 'bottlerun ls' names those there are", dir.Name())
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
