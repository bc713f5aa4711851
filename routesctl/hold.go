package main

import (
	"context"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/steward"
)

// A holding is the right to change a table: operators on several machines have no
// other lock in common than one where the table is. The zero value is that of a
// table on this machine.
type holding struct{ s *steward.Steward }

// hold runs _steward in the proxy's container for as long as the change takes. It
// falls with this process, however that ends.
func (c *container) hold(ctx context.Context) (*holding, error) {
	s, err := steward.Open(ctx, c.Engine, c.id, "/bin/routesctl", proxyFolder)
	if err == nil {
		c.at = s
		return &holding{s}, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: held by another operator: %w", c.place(routesFile), ctx.Err())
	}
	return nil, fmt.Errorf("the lock of the table cannot be taken: %w; nothing was changed", c.told(err))
}

// ended is closed when the holding has ended by itself.
func (h *holding) ended() <-chan struct{} {
	if h.s == nil {
		return nil
	}
	return h.s.Ended()
}

// lost is an error when another may be changing the table by now.
func (h *holding) lost() error {
	select {
	case <-h.ended():
		return errNotHeld
	default:
		return nil
	}
}

func (h *holding) release() {
	if h.s != nil {
		h.s.Close()
	}
}

// stewardVerb is run in the proxy's container by routesctl outside.
func stewardVerb(ctx context.Context, env *cli.Env) error {
	return steward.Run(ctx, env.Args, env.Stdin, env.Stdout)
}
