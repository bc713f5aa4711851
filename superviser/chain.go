package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// A stopped link may need a while to put things back (routesctl apply does).
const stopWait = time.Minute

// link runs one program of the toolkit and returns its output. Its stderr is
// ours. A failure keeps the link's exit code, 1 or 3, and names the link.
func link(ctx context.Context, env *cli.Env, prog string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, cli.Sibling(prog), args...)
	cmd.Stdout, cmd.Stderr = &out, env.Stderr
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

// liveTable is the table of the bottle as text and parsed.
func liveTable(ctx context.Context, env *cli.Env, bottle string) ([]byte, *route.Table, error) {
	text, err := link(ctx, env, "routesctl", "show", "-bottle", bottle)
	if err != nil {
		return nil, nil, err
	}
	t, err := route.Parse("the live table", text)
	return text, t, err
}

// usesOf is how often the routes of the live table t that have max_uses were
// used, by their host.
func usesOf(ctx context.Context, env *cli.Env, bottle string, t *route.Table) (map[string]int64, error) {
	if !slices.ContainsFunc(t.Routes, func(r route.Route) bool { return r.MaxUses > 0 }) {
		return nil, nil
	}
	text, err := link(ctx, env, "routesctl", "show", "-json", "-bottle", bottle)
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
