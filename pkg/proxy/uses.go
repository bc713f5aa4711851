package proxy

import (
	"maps"
	"sync"
	"sync/atomic"

	"bottle/pkg/route"
)

// uses counts what the routes with max_uses have let through. A count lives as
// long as its host has a route with max_uses, whatever else of the route
// changes; so max_uses is the number of all uses, and who grants more raises it.
type uses struct {
	m     atomic.Pointer[map[string]*atomic.Int64] // by Route.Host; replaced whole
	dirty atomic.Bool                              // changed since the last tick
	swap  sync.Mutex                               // one table after the other
}

// keep makes the counts those of t around serve, which has t served. Until then
// those of the table before are there too: no route is used uncounted under either.
func (u *uses) keep(t *route.Table, serve func()) {
	u.swap.Lock()
	defer u.swap.Unlock()
	old := map[string]*atomic.Int64{}
	if m := u.m.Load(); m != nil {
		old = *m
	}
	both, now := maps.Clone(old), map[string]*atomic.Int64{}
	for i := range t.Routes {
		r := &t.Routes[i]
		if r.MaxUses == 0 {
			continue
		}
		if both[r.Host] == nil {
			both[r.Host] = new(atomic.Int64)
		}
		now[r.Host] = both[r.Host]
	}
	u.m.Store(&both)
	serve()
	u.m.Store(&now)
}

// take counts one use of r, which has max_uses, and returns the count. It is nil
// when r is used up. Known is false when r is of a table that is served no more.
func (u *uses) take(r *route.Route) (n *atomic.Int64, known bool) {
	if n = (*u.m.Load())[r.Host]; n == nil {
		return nil, false
	}
	for {
		was := n.Load()
		if was >= int64(r.MaxUses) {
			return nil, true
		}
		if n.CompareAndSwap(was, was+1) {
			u.dirty.Store(true)
			return n, true
		}
	}
}

// giveBack undoes the use of a request of which nothing was sent. It comes before
// the answer that says so: who reads that may ask again at once.
func (x *exchange) giveBack() {
	if x.use == nil || x.left {
		return
	}
	x.use.Add(-1)
	x.use = nil
	x.p.uses.dirty.Store(true)
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
