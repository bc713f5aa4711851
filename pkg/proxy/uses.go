package proxy

import (
	"sync/atomic"

	"bottle/pkg/route"
)

// uses counts what the routes with max_uses have let through. A count lives as
// long as its host has a route with max_uses, whatever else of the route
// changes; so max_uses is the number of all uses, and who grants more raises it.
type uses struct {
	m     atomic.Pointer[map[string]*atomic.Int64] // by Route.Host; replaced whole
	dirty atomic.Bool                              // changed since the last tick
}

// keep makes the counts those of t. It comes before t is served, so that no
// route is used uncounted.
func (u *uses) keep(t *route.Table) {
	var old map[string]*atomic.Int64
	if m := u.m.Load(); m != nil {
		old = *m
	}
	now := map[string]*atomic.Int64{}
	for i := range t.Routes {
		r := &t.Routes[i]
		if r.MaxUses == 0 {
			continue
		}
		if now[r.Host] = old[r.Host]; now[r.Host] == nil {
			now[r.Host] = new(atomic.Int64)
		}
	}
	u.m.Store(&now)
}

// take counts one use of r, which has max_uses. It is false when r is used up.
func (u *uses) take(r *route.Route) bool {
	n := (*u.m.Load())[r.Host]
	if n == nil {
		return true // r is of a table that was replaced just now: SetTable decides anew
	}
	for {
		was := n.Load()
		if was >= int64(r.MaxUses) {
			return false
		}
		if n.CompareAndSwap(was, was+1) {
			u.dirty.Store(true)
			return true
		}
	}
}

// Uses is how often each route with max_uses has been used, by its Host; nil
// when the table has no such route.
func (p *Proxy) Uses() map[string]int64 {
	m := *p.uses.m.Load()
	if len(m) == 0 {
		return nil
	}
	counts := make(map[string]int64, len(m))
	for host, n := range m {
		counts[host] = n.Load()
	}
	return counts
}
