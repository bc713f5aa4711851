package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/mirror"
	"bottle/pkg/sandbox"
	"bottle/pkg/steward"
)

// Pipelock runs in the operator's image, which needs nothing of ours: its process
// 1 is our static program, from its volume.

// lockProgram is where that program is, below the bottle's folder.
const lockProgram = "bin/bottlerun"

// startLock starts the second proxy, if the manifest has one, and waits until it
// serves.
func (d *dock) startLock() error {
	if d.probe != nil {
		return d.startCanary()
	}
	image := d.manifest.Pipelock.Image
	if image == "" {
		return d.trust()
	}
	img, err := inspectImage(d.ctx, d.engine, image)
	if err != nil {
		return err
	}
	program := append(img.entrypoint, img.command...)
	if len(program) == 0 {
		return cli.Refusedf("image %s has no entrypoint; wanted one of pipelock", image)
	}
	start, err := mirror.Prepare(d.lock.At(inside.Pipelock(), "0.0.0.0:"+pipelockPort))
	if err != nil {
		return cli.Refused(err)
	}
	for _, h := range start.Left {
		note(d.env, "pipelock cannot match the route for %s and will refuse it", h)
	}
	d.lockCA = start.CA
	if err := d.trust(); err != nil {
		return err
	}
	if err := d.create(d.lockContainer(image, program[0], start)); err != nil {
		return err
	}
	if err := d.deliverLock(start); err != nil {
		return err
	}
	if d.lockPart, _, err = d.startPart(rolePipelock, nil); err != nil {
		return err
	}
	return d.unlessDead(func() error { return d.lockHealthy(program[0]) })
}

func (d *dock) lockContainer(image, program string, start *mirror.Start) container {
	p := sandbox.Part{Next: inside.PipelockConfig(), Command: append([]string{program}, start.Args...)}
	c := d.part(rolePipelock, "1g", p, append([]string{"--network", d.object(netOut)}, noForward...), d.volume(volPipelock, string(inside), "nocopy"))
	c.image = image
	c.command[0] = inside.In(lockProgram)
	for _, e := range start.Env {
		c.flags = append(c.flags, "--env", e)
	}
	return c
}

// deliverLock: the folder of its configuration is its own alone, and so must not
// be the volume's root, which is root's.
func (d *dock) deliverLock(start *mirror.Start) error {
	self, err := os.ReadFile(cli.Sibling("bottlerun"))
	if err != nil {
		return err
	}
	folder := relative(inside.Pipelock())
	entries := []docker.Entry{{Name: "bin", Mode: fs.ModeDir | 0o755}, {Name: lockProgram, Mode: 0o755, Data: self}, partDir(folder)}
	for _, f := range start.Files {
		entries = append(entries, partFile(folder+"/"+f.Name, f.Mode, f.Data))
	}
	return d.engine.CopyIn(d.ctx, d.object(rolePipelock), string(inside), entries...)
}

// lockHealthy asks pipelock's own client, in its container.
func (d *dock) lockHealthy(program string) error {
	ctx, cancel := context.WithTimeout(d.ctx, healthTimeout)
	defer cancel()
	err := poll(ctx, func() error {
		_, err := d.engine.Exec(ctx, d.object(rolePipelock), nil, program, "healthcheck", "--addr", "127.0.0.1:"+pipelockPort)
		return err
	})
	if err != nil {
		return fmt.Errorf("pipelock is not healthy: %w", err)
	}
	return nil
}

// stewardVerb is run in pipelock's container by pipemirror outside.
func stewardVerb(ctx context.Context, env *cli.Env) error {
	return steward.Run(ctx, env.Args, env.Stdin, env.Stdout)
}
