package main

import (
	"context"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// prepare completes the table and checks that it can work: its end, and a value
// for each of its credentials.
func (c *change) prepare(ctx context.Context, next *route.Table) error {
	if c.hold > 0 || c.uses > 0 || c.renew != "" {
		limited, err := c.withTerms(ctx, next, time.Now())
		if err != nil {
			return err
		}
		next = limited
	}
	c.next, c.bytes = next, next.Encode()
	known := map[string]bool{}
	for _, r := range c.now.Routes {
		known[r.TokenEnv] = true
	}
	for _, r := range next.Routes {
		if err := c.checkSlot(r, known[r.TokenEnv]); err != nil {
			return err
		}
	}
	return nil
}

// checkSlot refuses a route whose credential would be missing, or be another's: a
// file in a slot that no live route uses was delivered for a route that is gone,
// or by an apply that was killed.
func (c *change) checkSlot(r route.Route, known bool) error {
	slot := r.TokenEnv
	ref, delivered := c.tokens[slot]
	switch {
	case slot == "":
		return nil
	case delivered && c.b.atStart(slot):
		return cli.Refusedf("%s: the slot %s already has a credential, which the proxy was started with; nothing was changed\nhint: give the route a slot of a higher number", r.Host, slot)
	case delivered && c.env.Getenv(ref) == "":
		return cli.Refusedf("%s: the variable %s is not set; nothing was changed\nhint: export %s, then repeat this", r.Host, ref, ref)
	case !delivered && !known && !c.b.atStart(slot):
		return cli.Refusedf("%s: the bottle has no credential in the slot %s; nothing was changed\nhint: add -token %s=VARIABLE, VARIABLE being the one of your environment that holds it", r.Host, slot, slot)
	}
	return nil
}

// withTerms gives the end that -for and -uses ask for to the routes of next that
// now does not have as they are. The route of the host renew gets it too if it has
// an end, and one that has ended there begins again: without an end, unless -for
// or -uses give it one.
func (c *change) withTerms(ctx context.Context, next *route.Table, at time.Time) (*route.Table, error) {
	status, err := c.b.status(ctx)
	if err != nil {
		return nil, fmt.Errorf("the proxy's answer cannot be read: %w; nothing was changed", err)
	}
	concerned := map[string]bool{}
	for _, d := range route.Diff(c.now, next) {
		concerned[d.Host] = true
	}
	routes := append([]route.Route(nil), next.Routes...)
	for i := range routes {
		r := &routes[i]
		if was := exact(c.now, r.Host); r.Host == c.renew && was != nil {
			concerned[r.Host] = concerned[r.Host] || !r.Expires.IsZero() || r.MaxUses > 0
			if was.Ended(at, status.Uses) {
				r.Expires, r.MaxUses = time.Time{}, 0
			}
		}
		if concerned[r.Host] && c.hold > 0 {
			r.Expires = route.End(at, c.hold)
		}
		if concerned[r.Host] && c.uses > 0 {
			// The proxy's count goes on where there is one.
			r.MaxUses = c.uses + int(status.Uses[r.Host])
		}
	}
	limited, err := route.New(routes)
	if err != nil {
		return nil, refuse(c.env, err)
	}
	return limited, nil
}
