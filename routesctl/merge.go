package main

import (
	"context"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// merge prints TABLE with PROPOSAL merged in.
func merge(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 1, 2); err != nil {
		return err
	}
	if err := onlyOneStdin(fs.Arg(0), fs.Arg(1)); err != nil {
		return err
	}
	t, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	data, name, err := env.ReadInput(fs.Arg(1), route.MaxBytes)
	if err != nil {
		return err
	}
	p, err := route.ParseProposal(name, data)
	if err != nil {
		return refuse(env, err)
	}
	next, m, err := route.Merge(t, p)
	if err != nil {
		return refuse(env, err)
	}
	if _, err := env.Stdout.Write(next.Encode()); err != nil {
		return err
	}
	noteMerged(env, p.Host, m)
	return nil
}

// noteMerged says what of a proposal had no effect, or one that is easily missed.
func noteMerged(env *cli.Env, host string, m route.Merged) {
	if m.AuthIgnored {
		note(env, "%s has a route: the proposed credential is ignored", host)
	}
	if !m.Changed {
		note(env, "the table has it all already")
	}
	if m.Shadows != "" {
		note(env, "%s no longer follows the route %s", host, m.Shadows)
	}
}
