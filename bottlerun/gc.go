package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/escape"
	"bottle/pkg/state"
)

// gc removes what launchers left that were killed: here, and on an engine, and
// there the images of other versions, too.
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
		faults = append(faults, gcRecords(env, root, *dry), gcDoctors(env, *dry))
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

// gcDoctors removes the folders of doctors.
func gcDoctors(env *cli.Env, dry bool) error {
	left, err := doctorsLeft()
	for _, path := range left {
		fmt.Fprintf(env.Stdout, "doctor\t%s\n", escape.Text(path, 0))
		if !dry {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
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
		name := escape.Text(r.labels[labelName], 0)
		alive, doubt, err := r.alive(ctx, e)
		faults = append(faults, err)
		if doubt != "" {
			note(env, "bottle %s of host %s stays%s", name, r.host(), doubt)
		}
		if alive || err != nil {
			continue
		}
		fmt.Fprintf(env.Stdout, "%s\t%d objects on %v\n", name, r.objects, e)
		if dry {
			continue
		}
		faults = append(faults, r.remove(ctx, env, e, root))
	}
	return errors.Join(append(faults, gcImages(ctx, env, e, dry))...)
}

// oldImage is how long a parts' image of another version stays that no container
// uses. Its version may be in use on another machine, which makes it again.
const oldImage = 24 * time.Hour

// gcImages removes the parts' images of other versions than this one.
func gcImages(ctx context.Context, env *cli.Env, e *docker.Engine, dry bool) error {
	_, own, err := programs()
	if err != nil {
		return nil // not installed whole: no bottle starts from here
	}
	out, err := e.Output(ctx, nil, "image", "ls", "--format", "{{.Tag}}", partsRepository)
	tags := slices.DeleteFunc(strings.Fields(string(out)), func(tag string) bool { return tag == own || tag == "<none>" })
	if err != nil || len(tags) == 0 {
		return err
	}
	now, err := e.Now(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, tag := range tags {
		image := partsRepository + ":" + tag
		old, err := unusedSince(ctx, e, image, now.Add(-oldImage))
		if err != nil || !old {
			faults = append(faults, err)
			continue
		}
		if !dry {
			// Without force: one that a container uses after all stays.
			if _, err := e.Output(ctx, nil, "image", "rm", image); err != nil {
				faults = append(faults, err)
				continue
			}
		}
		fmt.Fprintf(env.Stdout, "%s\timage of another version on %v\n", image, e)
	}
	return errors.Join(faults...)
}

// unusedSince tells of an image that is older than that and that no container is of.
func unusedSince(ctx context.Context, e *docker.Engine, image string, when time.Time) (bool, error) {
	out, err := e.Output(ctx, nil, "image", "inspect", "--format", "{{json .Created}}", image)
	if said := (*docker.Error)(nil); errors.As(err, &said) {
		return false, nil // somebody else has removed it
	}
	var made time.Time
	if err == nil {
		err = json.Unmarshal(out, &made)
	}
	if err != nil || made.After(when) {
		return false, err
	}
	out, err = e.Output(ctx, nil, "ps", "--all", "--quiet", "--filter", "ancestor="+image)
	return len(bytes.TrimSpace(out)) == 0, err
}
