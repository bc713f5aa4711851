package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/risk"
	"bottle/pkg/route"
)

// A stopped link may need a while to put things back (routesctl apply does).
const stopWait = time.Minute

// link runs one program of the toolkit and returns its output. Its stderr is
// ours. A failure keeps the link's exit code, 1 or 3, and names the link.
func link(ctx context.Context, env *cli.Env, prog string, args ...string) ([]byte, error) {
	return linkWith(ctx, env, nil, prog, args...)
}

// linkWith is link with something on the program's standard input.
func linkWith(ctx context.Context, env *cli.Env, in io.Reader, prog string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, cli.Sibling(prog), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, env.Stderr
	// TERM and not the default KILL, which would leave an apply half-done.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWait
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.As(err, &exit) && exit.ExitCode() == cli.No:
		return nil, cli.Refusedf("%s %s said no", prog, args[0])
	}
	return nil, fmt.Errorf("%s %s: %w", prog, args[0], err)
}

// served is the table that a bottle's proxy serves, and how it goes there.
type served struct {
	text    []byte
	table   *route.Table
	uses    map[string]int64 // how often the routes that have max_uses were used, by their host
	refused []risk.Refusal   // recent requests
}

// live is what the place's bottle serves, or why that is not known: read once;
// forget has it read again.
func (p *place) live(ctx context.Context, env *cli.Env) (*served, error) {
	if p.served == nil && p.unknown == nil {
		p.served, p.unknown = p.readLive(ctx, env)
	}
	return p.served, p.unknown
}

func (p *place) forget() { p.served, p.unknown = nil, nil }

func (p *place) readLive(ctx context.Context, env *cli.Env) (*served, error) {
	text, err := link(ctx, env, "routesctl", append([]string{"show"}, p.flags()...)...)
	if err != nil {
		return nil, err
	}
	s := &served{text: text}
	if s.table, err = route.Parse("the live table", text); err != nil {
		return nil, err
	}
	if s.uses, err = p.uses(ctx, env, s.table); err != nil {
		return nil, err
	}
	s.refused = p.refusals(ctx)
	return s, nil
}

// uses is how often the routes of the live table t that have max_uses were used.
func (p *place) uses(ctx context.Context, env *cli.Env, t *route.Table) (map[string]int64, error) {
	if !slices.ContainsFunc(t.Routes, func(r route.Route) bool { return r.MaxUses > 0 }) {
		return nil, nil
	}
	text, err := link(ctx, env, "routesctl", append([]string{"show", "-json"}, p.flags()...)...)
	if err != nil {
		return nil, err
	}
	var shown struct {
		Uses map[string]int64 `json:"uses"`
	}
	if err := json.Unmarshal(text, &shown); err != nil {
		return nil, fmt.Errorf("routesctl show -json: %w", err)
	}
	return shown.Uses, nil
}

// logTail is how many lines of a container's access log are looked at.
const logTail = "2000"

// refusals are the recent refused requests. They only say what an approval would
// cure, so that there is no log is no trouble.
func (p *place) refusals(ctx context.Context) []risk.Refusal {
	if p.docker == nil {
		list, _ := risk.ReadRefusals(p.dir.AccessLog())
		return list
	}
	part, err := p.docker.Part("egress-proxy")
	if err != nil {
		return nil
	}
	lines, _ := p.docker.Engine.Output(ctx, nil, "logs", "--tail", logTail, part)
	return risk.Refusals(lines)
}
