package main

import (
	"context"
	"errors"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

func edit(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	t.changeFlags(fs)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	p, err := t.find(ctx, env)
	if errors.Is(err, errNone) {
		return cli.Refused(err)
	}
	if err != nil {
		return err
	}
	old, err := p.Read(ctx)
	if err != nil {
		return err
	}
	return answer(env.Edit(ctx, "pipelock.yaml", old, func(next []byte) error {
		restarted, err := p.Install(ctx, old, next, t.restart)
		tellRestart(env, restarted)
		var refused *mirror.Refused
		if errors.As(err, &refused) && refused.Restart && !t.restart && t.bottle != "" {
			err = fmt.Errorf("%w\nhint: with 'pipemirror edit -restart -bottle %s' it is started anew, which cuts the bottle's open connections", err, t.bottle)
		}
		return err
	}))
}
