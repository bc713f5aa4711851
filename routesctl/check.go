package main

import (
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// prepare completes the table and checks that it can work: its end, and a value
// for each of its credentials.
func (c *change) prepare(next *route.Table) error {
	if c.hold > 0 {
		limited, err := withEnd(c.now, next, route.End(time.Now(), c.hold))
		if err != nil {
			return refuse(c.env, err)
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

// withEnd gives an end to the routes of next that now does not have as they are.
func withEnd(now, next *route.Table, end time.Time) (*route.Table, error) {
	changed := map[string]bool{}
	for _, d := range route.Diff(now, next) {
		changed[d.Host] = true
	}
	routes := append([]route.Route(nil), next.Routes...)
	for i := range routes {
		if changed[routes[i].Host] {
			routes[i].Expires = end
		}
	}
	return route.New(routes)
}
