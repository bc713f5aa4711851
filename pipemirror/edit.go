package main

import (
	"context"
	"errors"

	"bottle/pkg/cli"
)

func edit(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	t.waitFlag(fs)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	p, err := t.find(env)
	if errors.Is(err, errNone) {
		return cli.Refused(err)
	}
	if err != nil {
		return err
	}
	old, err := readConfig(p)
	if err != nil {
		return err
	}
	return answer(env.Edit(ctx, "pipelock.yaml", old, func(next []byte) error {
		return p.Install(ctx, old, next)
	}))
}
