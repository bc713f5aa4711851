package main

import (
	"context"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// add merges a proposal into the live table of a running bottle: show, merge,
// validate and apply under one lock, so that no other change comes between. A
// route of that host that has ended begins again.
func add(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	installFlags(fs, c)
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	data, name, err := env.ReadInput(fs.Arg(0), route.MaxBytes)
	if err != nil {
		return err
	}
	p, err := route.ParseProposal(name, data)
	if err != nil {
		return refuse(env, err)
	}
	release, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer release()
	next, m, err := route.Merge(c.now, p)
	if err != nil {
		return refuse(env, err)
	}
	noteMerged(env, p.Host, m)
	if m.NewSlot != "" && c.tokens[m.NewSlot] == "" {
		c.tokens[m.NewSlot] = m.TokenRef
	}
	c.renew = p.Host
	return c.install(ctx, next)
}
