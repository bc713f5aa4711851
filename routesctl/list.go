package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/state"
)

// listed is a running bottle as list prints it.
type listed struct {
	Name       string `json:"name"`
	Backend    string `json:"backend"`
	Routes     int    `json:"routes"`
	Generation uint64 `json:"generation"`
	Digest     string `json:"digest"`
	Error      string `json:"error,omitempty"` // of the last reload
}

// list prints the running bottles and the table that each serves.
func list(_ context.Context, env *cli.Env) error {
	flags := env.Flags()
	asJSON := flags.Bool("json", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	slugs, err := state.List(root)
	if err != nil {
		return err
	}
	for _, slug := range slugs {
		l, err := look(root, slug)
		if errors.Is(err, errNotRunning) {
			continue
		}
		if err != nil {
			return err
		}
		if err := printListed(env, l, *asJSON); err != nil {
			return err
		}
	}
	return nil
}

var errNotRunning = errors.New("not running")

func look(root, slug string) (listed, error) {
	dir, err := state.At(root, slug)
	if err != nil {
		return listed{}, err
	}
	r, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!dir.Running() || r.Boot != state.Boot()) {
		return listed{}, errNotRunning
	}
	if err != nil {
		return listed{}, err
	}
	s, err := reload.Read(dir.Status())
	if err != nil {
		s.Error = err.Error() // it is starting, or its files are broken: shown, not hidden
	}
	return listed{slug, r.Backend, s.Routes, s.Generation, s.Digest, s.Error}, nil
}

func printListed(env *cli.Env, l listed, asJSON bool) error {
	if asJSON {
		return printJSON(env.Stdout, l)
	}
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%d\t%d\t%.12s\n", l.Name, l.Backend, l.Routes, l.Generation, dash(l.Digest))
	return err
}
