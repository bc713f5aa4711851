package main

import (
	"context"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// add merges a proposal into the live table of a running bottle: show, merge,
// validate and apply under one lock, so that no other change comes between.
func add(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	slug := installFlags(fs, c)
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	if c.hold < 0 || c.wait <= 0 {
		return cli.Misused("-for and -wait; wanted a positive duration such as 1h")
	}
	data, name, err := env.ReadInput(fs.Arg(0), route.MaxBytes)
	if err != nil {
		return err
	}
	p, err := route.ParseProposal(name, data)
	if err != nil {
		return refuse(env, err)
	}
	if c.b, err = openBottle(env, *slug); err != nil {
		return err
	}
	release, err := c.b.dir.HoldApply()
	if err != nil {
		return err
	}
	defer release()
	if err := c.readLive(ctx); err != nil {
		return err
	}
	next, m, err := route.Merge(c.now, p)
	if err != nil {
		return refuse(env, err)
	}
	noteMerged(env, p.Host, m)
	if m.NewSlot != "" && c.tokens[m.NewSlot] == "" {
		c.tokens[m.NewSlot] = m.TokenRef
	}
	return c.install(ctx, next)
}
