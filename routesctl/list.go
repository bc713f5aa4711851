package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/reload"
)

// listed is a running bottle as list prints it.
type listed struct {
	Name       string `json:"name"`
	Backend    string `json:"backend"`
	Routes     int    `json:"routes"`
	Generation uint64 `json:"generation"`
	Digest     string `json:"digest"`
	Context    string `json:"context,omitempty"` // of the engine, where the operator named it so
	Host       string `json:"host,omitempty"`    // where the engine is, if not here
	EndsIn     string `json:"ends_in,omitempty"` // until the next route ends by itself
	Error      string `json:"error,omitempty"`   // of the last reload, or why the proxy cannot tell
}

// list prints the running bottles and the table that each serves.
func list(ctx context.Context, env *cli.Env) error {
	flags := env.Flags()
	asJSON := flags.Bool("json", false, "")
	all := flags.Bool("all-contexts", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	found, err := bottles.List(ctx, env.Getenv, *all)
	var silent bottles.Unasked
	if err != nil && !errors.As(err, &silent) {
		return err
	}
	for i := range found {
		b := &found[i]
		if !b.Running() {
			continue
		}
		if err := printListed(env, look(ctx, b), *asJSON); err != nil {
			return err
		}
	}
	for _, err := range silent {
		note(env, "%v", err)
	}
	return nil
}

// look asks a bottle's proxy. That it is starting, or that its files are broken,
// is shown and not hidden.
func look(ctx context.Context, b *bottles.Bottle) listed {
	l := listed{Name: b.Name, Backend: b.Backend}
	var s reload.Status
	var err error
	if b.Engine == nil {
		s, err = reload.Read(b.Dir.Status())
	} else {
		l.Context, l.Host = b.Engine.Place()
		var c *container
		if c, err = openContainer(b); err == nil {
			s, err = c.status(ctx)
		}
	}
	if err != nil {
		s.Error = err.Error()
	}
	if s.EndsAt != nil {
		l.EndsIn = left(*s.EndsAt, time.Now())
	}
	l.Routes, l.Generation, l.Digest, l.Error = s.Routes, s.Generation, s.Digest, s.Error
	return l
}

func printListed(env *cli.Env, l listed, asJSON bool) error {
	if asJSON {
		return printJSON(env.Stdout, l)
	}
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%d\t%d\t%.12s\t%s\t%s\n", l.Name, l.Backend, l.Routes, l.Generation, dash(l.Digest), l.where(), dash(l.EndsIn))
	return err
}

// where is the context or the host of the engine; "-" here.
func (l listed) where() string {
	if l.Context != "" && l.Context != "default" {
		return l.Context
	}
	return dash(l.Host)
}
