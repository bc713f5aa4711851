package main

import (
	"context"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// show prints the live table of a running bottle.
func show(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	slug := fs.String("bottle", "", "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	data, _, err := served(ctx, env, *slug)
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write(data)
	return err
}

// served is the live table of a bottle. The file is believed only when the
// running proxy says that it serves it.
func served(ctx context.Context, env *cli.Env, slug string) ([]byte, *route.Table, error) {
	b, err := openBottle(env, slug)
	if err != nil {
		return nil, nil, err
	}
	data, err := b.table(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, err := route.Parse(b.dir.Routes(), data)
	if err != nil {
		return nil, nil, refuse(env, err)
	}
	s, err := b.status(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.Digest != t.Digest() {
		return nil, nil, fmt.Errorf("%s is not what the proxy serves (%d routes, digest %.12s)\nhint: 'routesctl apply -bottle %s FILE' installs a table again", b.dir.Routes(), s.Routes, s.Digest, slug)
	}
	return data, t, nil
}
