package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/state"
)

// A row is one bottle for ls -json.
type row struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // running or stale
	Backend   string    `json:"backend"`
	Pid       int       `json:"pid"`
	Since     time.Time `json:"since"`
	Workspace string    `json:"workspace"`
}

// ls prints the bottles that have a record.
func ls(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
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
		dir, err := state.At(root, slug)
		if err != nil {
			return err
		}
		rec, err := dir.Load()
		if err != nil {
			note(env, "%v", err) // the others can still be listed
			continue
		}
		if err := printRow(env, rowOf(dir, rec), *asJSON); err != nil {
			return err
		}
	}
	return nil
}

func rowOf(dir state.Dir, rec state.Record) row {
	r := row{dir.Name(), "stale", rec.Backend, rec.Launcher.Pid, rec.Started, rec.Workspace}
	if dir.Running() {
		r.State = "running"
	}
	return r
}

func printRow(env *cli.Env, r row, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(r)
	}
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%d\t%s\t%s\n",
		r.Name, r.State, r.Backend, r.Pid, r.Since.Format(time.RFC3339), escape.Text(r.Workspace, 0))
	return err
}
