package main

import (
	"slices"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// grant sets how long the route of host holds in next, the merge of a proposal
// into now: for d from the moment at, or, when d is 0, as before, a route that
// has expired being renewed without an end. It refuses to put an end to a route
// that had none.
func grant(next, now *route.Table, host string, at time.Time, d time.Duration) (*route.Table, error) {
	was := find(now, host)
	if d == 0 && (was == nil || !was.Expired(at)) {
		return next, nil
	}
	if d > 0 && was != nil && was.Expires.IsZero() {
		return nil, cli.Refusedf("-for: %s has a route without an end, and that would end too\nhint: approve without -for", host)
	}
	routes := slices.Clone(next.Routes)
	i := slices.IndexFunc(routes, func(r route.Route) bool { return r.Host == host })
	if i < 0 {
		return nil, cli.Refusedf("the merged table has no route %s", host)
	}
	routes[i].Expires = time.Time{}
	if d > 0 {
		routes[i].Expires = route.End(at, d)
	}
	return route.New(routes)
}
