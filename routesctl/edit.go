package main

import (
	"context"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// edit has the operator edit the live table of a running bottle and installs what
// becomes of it, if the live table is still the one that was edited.
func edit(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	installFlags(fs, c)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	l, err := served(ctx, env, c.of)
	if err != nil {
		return err
	}
	return env.Edit(ctx, routesFile, l.data, func(text []byte) error {
		next, err := route.Parse("your text", text)
		if err != nil {
			refuse(env, err)
			return cli.Refusedf("that is no table; nothing was changed")
		}
		for _, d := range route.Diff(l.t, next) {
			if _, err := fmt.Fprintln(env.Stdout, d.Text); err != nil {
				return err
			}
		}
		release, err := c.begin(ctx)
		if err != nil {
			return err
		}
		defer release()
		if err := c.unchanged(l.t, "what you were given"); err != nil {
			return err
		}
		return c.install(ctx, next)
	})
}
