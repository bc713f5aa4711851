package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/state"
)

// A row is one bottle for ls -json.
type row struct {
	Name      string    `json:"name"`
	State     string    `json:"state"` // running, starting or stale
	Backend   string    `json:"backend"`
	Pid       int       `json:"pid"`
	Since     time.Time `json:"since,omitzero"`
	Workspace string    `json:"workspace"`
	Host      string    `json:"host,omitempty"`   // of the launcher, where the engine says it
	Engine    string    `json:"engine,omitempty"` // backend docker

	SelfTest *state.SelfTest `json:"self_test,omitempty"` // where the launcher's record is here
	recorded bool
}

// ls prints the bottles that have a record here, or containers on an engine.
func ls(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	all := fs.Bool("all-contexts", false, "")
	verbose := fs.Bool("v", false, "")
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
		r := rowOf(ctx, &list[i])
		if err := printRow(env, r, *asJSON); err != nil {
			return err
		}
		if *verbose && !*asJSON {
			if err := r.printTrials(env); err != nil {
				return err
			}
		}
	}
	return nil
}

func rowOf(ctx context.Context, b *bottles.Bottle) row {
	rec := b.Record
	r := row{Name: b.Name, State: "stale", Backend: b.Backend, Pid: rec.Launcher.Pid, Since: rec.Started, Workspace: rec.Workspace,
		SelfTest: rec.SelfTest, recorded: rec.Name != ""}
	if b.Running() {
		r.State = "running"
	}
	if b.Engine == nil {
		return r
	}
	r.Engine = b.Engine.String()
	if r.State == "stale" && starting(ctx, b) {
		r.State = "starting"
	}
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

// starting reports whether none of a bottle's containers has run yet, and a launcher
// is there that may start them.
func starting(ctx context.Context, b *bottles.Bottle) bool {
	var r remains
	for _, c := range b.Containers {
		if !c.Started.IsZero() {
			return false
		}
		r.add(c.Labels, c.Created)
		r.containers = append(r.containers, c)
	}
	alive, _, err := r.alive(ctx, b.Engine)
	return alive && err == nil
}

// writeJSON writes v as one line in which no character is invisible: an agent, an
// image or a folder may have chosen it.
func writeJSON(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(escape.JSON(line), '\n'))
	return err
}

func printRow(env *cli.Env, r row, asJSON bool) error {
	if asJSON {
		return writeJSON(env.Stdout, r)
	}
	since := "-" // its agent's container is not there yet
	if !r.Since.IsZero() {
		since = r.Since.Format(time.RFC3339)
	}
	line := fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s", r.Name, r.State, r.Backend, r.Pid, since, escape.Text(r.Workspace, 0))
	if r.Engine != "" {
		line += "\t" + escape.Text(r.Engine, 0) + "\t" + escape.Text(r.Host, 0)
	}
	_, err := fmt.Fprintln(env.Stdout, line)
	return err
}

// printTrials prints what the self-test of the bottle's start has tried, one a
// line. In the place of the state these have "self-test", so that the bottles' own
// lines can be told from them.
func (r row) printTrials(env *cli.Env) error {
	why := ""
	switch {
	case !r.recorded:
		why = "its result is with its launcher, on host " + escape.Text(r.Host, 0)
	case r.Backend == backendEnv:
		why = "the env backend has none, being no sandbox"
	case r.SelfTest == nil:
		why = "not done yet"
	}
	if why != "" {
		_, err := fmt.Fprintf(env.Stdout, "%s\tself-test\t-\t-\t-\t0\t-\t%s\n", r.Name, why)
		return err
	}
	for _, t := range r.SelfTest.Trials {
		took := "-"
		if t.Millis > 0 {
			took = strconv.FormatFloat(t.Millis, 'f', 3, 64)
		}
		_, err := fmt.Fprintf(env.Stdout, "%s\tself-test\t%s\t%s\t%s\t%d\t%s\t%s\n",
			r.Name, r.SelfTest.At.Format(time.RFC3339), escape.Text(t.What, 0), escape.Text(t.Result, 0), t.Count, took, escape.Text(t.Detail, 0))
		if err != nil {
			return err
		}
	}
	return nil
}
