package main

import (
	"context"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/route"
)

// show prints the live table of a running bottle.
func show(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	of := targetFlags(fs)
	asJSON := fs.Bool("json", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	l, err := served(ctx, env, of)
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(env.Stdout, shownOf(l, time.Now()))
	}
	_, err = env.Stdout.Write(l.data)
	return err
}

// shown is a live table as show -json prints it.
type shown struct {
	Routes     []route.Route    `json:"routes"`
	Digest     string           `json:"digest"`
	Generation uint64           `json:"generation"`
	Uses       map[string]int64 `json:"uses,omitempty"`    // of the routes with max_uses, by host
	EndsIn     map[string]int64 `json:"ends_in,omitempty"` // of the routes with expires, in seconds; 0 has ended
}

func shownOf(l liveTable, now time.Time) shown {
	s := shown{Routes: append([]route.Route{}, l.t.Routes...), Digest: l.status.Digest, Generation: l.status.Generation, Uses: l.status.Uses}
	for i := range s.Routes {
		if r := &s.Routes[i]; !r.Expires.IsZero() {
			if s.EndsIn == nil {
				s.EndsIn = map[string]int64{}
			}
			s.EndsIn[r.Host] = max(0, int64(r.Expires.Sub(now).Seconds()))
		}
	}
	return s
}

// A liveTable is the table that a running proxy serves, and what it says of it.
type liveTable struct {
	b      *live
	data   []byte
	t      *route.Table
	status reload.Status
}

// served is the live table of a bottle. The file is believed only when the
// running proxy says that it serves it.
func served(ctx context.Context, env *cli.Env, of *target) (liveTable, error) {
	b, err := of.open(ctx, env)
	if err != nil {
		return liveTable{}, err
	}
	data, err := b.table(ctx)
	if err != nil {
		return liveTable{}, err
	}
	t, err := route.Parse(b.place(routesFile), data)
	if err != nil {
		return liveTable{}, refuse(env, err)
	}
	s, err := b.status(ctx)
	if err != nil {
		return liveTable{}, err
	}
	if s.Digest != t.Digest() {
		return liveTable{}, fmt.Errorf("%s is not what the proxy serves (%d routes, digest %.12s)\nhint: 'routesctl apply -bottle %s FILE' installs a table again", b.place(routesFile), s.Routes, s.Digest, of.bottle)
	}
	return liveTable{b, data, t, s}, nil
}
