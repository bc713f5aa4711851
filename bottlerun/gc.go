package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/state"
)

// gc removes what launchers left that were killed: here, and on an engine.
func gc(ctx context.Context, env *cli.Env) error {
	flags := env.Flags()
	where := flags.String("context", "", "")
	dry := flags.Bool("n", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	var faults []error
	if *where == "" {
		faults = append(faults, gcRecords(env, root, *dry))
	}
	e := docker.Open(env.Getenv, *where)
	var silent *docker.Unreachable
	err = gcEngine(ctx, env, e, root, *dry)
	if errors.As(err, &silent) && *where == "" && !bottles.Chosen(env.Getenv, "") {
		err = nil // who uses no engine is not told of one
	}
	return errors.Join(append(faults, err)...)
}

// gcRecords cleans after the launchers that have a record here.
func gcRecords(env *cli.Env, root string, dry bool) error {
	slugs, err := state.List(root)
	if err != nil {
		return err
	}
	var faults []error
	for _, slug := range slugs {
		dir, err := state.At(root, slug)
		if err != nil {
			return err
		}
		if dir.Running() {
			continue
		}
		fmt.Fprintf(env.Stdout, "%s\t%s\n", slug, "record")
		if dry {
			continue
		}
		if err := cleanAfter(env, dir); err != nil {
			faults = append(faults, fmt.Errorf("bottle %s: %w", slug, err))
		}
	}
	return errors.Join(faults...)
}

// gcEngine removes from an engine what belongs to no launcher any more.
func gcEngine(ctx context.Context, env *cli.Env, e *docker.Engine, root string, dry bool) error {
	runs, err := findRuns(ctx, e, labelID)
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(runs)) {
		r := runs[id]
		if !r.dead() {
			continue
		}
		fmt.Fprintf(env.Stdout, "%s\t%d objects on %v\n", r.labels[labelName], r.objects, e)
		if dry {
			continue
		}
		faults = append(faults, r.remove(ctx, env, e, root))
	}
	return errors.Join(faults...)
}
