package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"bottle/pkg/cli"
	"bottle/pkg/docker"
)

// For the docker backend the agent is one of the image, and is looked for there:
// in the folders of the image's PATH, through a container that is made and never
// started. Nothing of the image runs.

// findInImage is findAgent in an image. Without an agent it is the image's own
// command, if it has one, and else a shell.
func (f *found) findInImage(ctx context.Context, env *cli.Env, image string) error {
	e := docker.Open(env.Getenv, "")
	img, err := inspectImage(ctx, e, image)
	if err != nil {
		return err
	}
	if err := img.checkVolumes(); err != nil {
		return err
	}
	dirs, err := img.folders()
	if err != nil {
		return err
	}
	f.image = image
	id := newID(f.name)
	c := object(f.name, "look-"+id[len(id)-8:])
	args := slices.Concat([]string{"create", "--name", c, "--network", "none"}, hardening,
		labelArgs(runLabels(f.name, id), map[string]string{labelRole: strings.TrimPrefix(c, object(f.name, ""))}), []string{"--entrypoint", partProgram, image})
	defer func() { // also when ctx has ended
		ctx, cancel := context.WithTimeout(context.Background(), docker.Limit)
		defer cancel()
		if err := sweep(ctx, e, id, false); err != nil {
			note(env, "%v\nhint: 'bottlerun gc' removes it", err)
		}
	}()
	if _, err := e.Output(ctx, nil, args...); err != nil {
		return err
	}
	names := agentNames
	own := append(slices.Clone(img.entrypoint), img.command...)
	if len(own) == 0 {
		names = append(slices.Clone(agentNames), "bash", "sh")
	}
	for _, name := range names {
		at, err := whereIn(ctx, e, c, dirs, name)
		if err != nil {
			return err
		}
		if at != "" {
			f.agent = &agentFound{name: name, path: name, at: at}
			return nil
		}
	}
	if len(own) == 0 {
		return cli.Refusedf("image %s has neither an agent in its PATH, nor a shell, nor a command; wanted one of %s in it", image, strings.Join(agentNames, ", "))
	}
	f.agent = &agentFound{name: "the image's command", at: strings.Join(own, " ")}
	return nil
}

// maxFolders bounds the folders of an image's PATH that are looked into: the image is
// anybody's.
const maxFolders = 64

// looks is how many questions to the engine are under way at once.
const looks = 8

// folders are those of the image's PATH, each once.
func (i agentImage) folders() (dirs []string, err error) {
	for dir := range strings.SplitSeq(i.path(), ":") {
		if dir = path.Clean(dir); path.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		if len(dirs) > maxFolders {
			return nil, cli.Refusedf("image %s has more than %d folders in its PATH; wanted fewer, to look for an agent in", i.name, maxFolders)
		}
	}
	return dirs, nil
}

// whereIn is where the program is, of all folders of the image's PATH the first
// that has it; "" when none has.
func whereIn(ctx context.Context, e *docker.Engine, container string, dirs []string, name string) (string, error) {
	has, faults := make([]bool, len(dirs)), make([]error, len(dirs))
	slots := make(chan struct{}, looks)
	var wg sync.WaitGroup
	for i, dir := range dirs {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			kind, err := e.Kind(ctx, container, path.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				return
			}
			has[i], faults[i] = err == nil && (kind.IsRegular() || kind == fs.ModeSymlink), err
		})
	}
	wg.Wait()
	if i := slices.Index(has, true); i >= 0 {
		return path.Join(dirs[i], name), nil
	}
	return "", cmp.Or(faults...)
}
