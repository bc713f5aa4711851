package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// mirrorHosts lets the second proxy know the hosts first: when that fails the
// egress-proxy is as it was, and never the other way round.
func (c *change) mirrorHosts(ctx context.Context) error {
	if !c.mirrors() {
		return nil
	}
	names, left := c.next.Hosts()
	for _, l := range left {
		note(c.env, "%s: pipelock cannot match it; a bottle behind pipelock will not reach it", l)
	}
	args := append([]string{"apply"}, c.of.args()...)
	for _, r := range c.next.Routes {
		if r.TLS == route.Passthrough && !slices.Contains(left, r.Host) {
			args = append(args, "-passthrough", r.Host) // pipelock must not end its TLS either
		}
	}
	cmd := exec.CommandContext(ctx, cli.Sibling(c.mirror), args...)
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	cmd.Stdout, cmd.Stderr = c.env.Stderr, c.env.Stderr
	// TERM and not KILL: an interrupted pipemirror puts the old file back.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	err := cmd.Run()
	if err == nil {
		return nil
	}
	state := "pipelock unknown"
	var exit *exec.ExitError
	if errors.Is(err, exec.ErrNotFound) || errors.As(err, &exit) && exit.ExitCode() == cli.No {
		state = "pipelock unchanged"
	}
	return fmt.Errorf("%s: %w; %s, routes unchanged\nhint: fix it with 'pipemirror edit -bottle %s', then retry", c.mirror, err, state, c.b.dir.Name())
}

// defaultMirror widens the pipelock of a bottle that has one.
const defaultMirror = "pipemirror"

// mirrors tells whether there is a program to be told of the hosts.
func (c *change) mirrors() bool {
	return c.mirror != "none" && (c.mirror != defaultMirror || c.b.hasPipelock())
}

// mirrorState is the second proxy's half of a message after mirrorHosts.
func (c *change) mirrorState() string {
	added := c.newHosts()
	switch {
	case c.mirror == "none" || !c.b.hasPipelock():
		return "no pipelock to change"
	case len(added) == 0:
		return "pipelock unchanged"
	}
	return "pipelock already allows " + strings.Join(added, ", ") + " (harmless)"
}

// newHosts are the names that next has and now has not.
func (c *change) newHosts() []string {
	old := map[string]bool{}
	was, _ := c.now.Hosts()
	for _, h := range was {
		old[h] = true
	}
	var added []string
	names, _ := c.next.Hosts()
	for _, h := range names {
		if !old[h] {
			added = append(added, h)
		}
	}
	return added
}
