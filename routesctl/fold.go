package main

import (
	"context"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// fold prints the effective routes of a manifest.
func fold(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 1, 1); err != nil {
		return err
	}
	data, name, err := env.ReadInput(fs.Arg(0), route.MaxBytes)
	if err != nil {
		return err
	}
	m, err := bottle.Parse(name, data)
	if err != nil {
		return refuse(env, err)
	}
	t, _, err := bottle.EffectiveRoutes(m)
	if err != nil {
		return refuse(env, err)
	}
	_, err = env.Stdout.Write(t.Encode())
	return err
}
