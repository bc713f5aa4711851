package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
)

// A row is one bottle for ls -json.
type row struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // running or stale
	Backend   string    `json:"backend"`
	Pid       int       `json:"pid"`
	Since     time.Time `json:"since"`
	Workspace string    `json:"workspace"`
	Host      string    `json:"host,omitempty"`   // of the launcher, where the engine says it
	Engine    string    `json:"engine,omitempty"` // backend docker
}

// ls prints the bottles that have a record here, or containers on an engine.
func ls(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	all := fs.Bool("all-contexts", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	list, err := bottles.List(ctx, env.Getenv, *all)
	var silent bottles.Unasked
	if err != nil && !errors.As(err, &silent) {
		return err
	}
	for _, err := range silent {
		note(env, "%v", err) // the others can still be listed
	}
	for i := range list {
		if err := printRow(env, rowOf(&list[i]), *asJSON); err != nil {
			return err
		}
	}
	return nil
}

func rowOf(b *bottles.Bottle) row {
	rec := b.Record
	r := row{Name: b.Name, State: "stale", Backend: b.Backend, Pid: rec.Launcher.Pid, Since: rec.Started, Workspace: rec.Workspace}
	if b.Running() {
		r.State = "running"
	}
	if b.Engine == nil {
		return r
	}
	r.Engine = b.Engine.String()
	for _, c := range b.Containers { // any has the launcher's, the agent's the rest
		r.Host = c.Labels[labelHost]
		r.Pid, _ = strconv.Atoi(c.Labels[labelPid])
		if c.Labels[labelRole] != roleAgent {
			continue
		}
		r.Workspace = c.Labels[labelWorkspace]
		r.Since, _ = time.Parse(time.RFC3339, c.Labels[labelStarted])
	}
	return r
}

func printRow(env *cli.Env, r row, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(r)
	}
	line := fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s", r.Name, r.State, r.Backend, r.Pid, r.Since.Format(time.RFC3339), escape.Text(r.Workspace, 0))
	if r.Engine != "" {
		line += "\t" + escape.Text(r.Engine, 0) + "\t" + escape.Text(r.Host, 0)
	}
	_, err := fmt.Fprintln(env.Stdout, line)
	return err
}
