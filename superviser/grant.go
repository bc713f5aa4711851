package main

import (
	"slices"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// grant sets how long the route of host holds in next, the merge of a proposal
// into now, as o wants it from the moment at; uses are those of now's routes so
// far. Without a wish it is as before, a route that has ended being renewed
// without an end. It refuses to put an end to a route that had none.
func grant(next, now *route.Table, host string, at time.Time, o order, uses map[string]int64) (*route.Table, error) {
	was := find(now, host)
	ended := was != nil && was.Ended(at, uses)
	limited := o.hold > 0 || o.uses > 0
	if !limited && !ended {
		return next, nil
	}
	if limited && was != nil && was.Expires.IsZero() && was.MaxUses == 0 {
		return nil, cli.Refusedf("-for, -uses: %s has a route without an end, and that would end too\nhint: approve without them", host)
	}
	routes := slices.Clone(next.Routes)
	i := slices.IndexFunc(routes, func(r route.Route) bool { return r.Host == host })
	if i < 0 {
		return nil, cli.Refusedf("the merged table has no route %s", host)
	}
	r := &routes[i]
	if ended {
		r.Expires, r.MaxUses = time.Time{}, 0
	}
	if o.hold > 0 {
		r.Expires = route.End(at, o.hold)
	}
	if o.uses > 0 {
		r.MaxUses = o.uses + int(uses[host]) // the proxy's count goes on
	}
	return route.New(routes)
}
