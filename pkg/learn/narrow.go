package learn

import (
	"slices"
	"strings"

	"bottle/pkg/route"
)

// Use is what of a table was used.
type Use struct {
	t      *route.Table
	routes map[*route.Route]*used
}

type used struct {
	paths, methods []bool // by the route's lists
}

// NewUse notes nothing yet of t.
func NewUse(t *route.Table) *Use { return &Use{t, map[*route.Route]*used{}} }

// Add notes the request q, which was let through, if the table has a route for it
// now.
func (u *Use) Add(q route.Query) {
	d := u.t.Match(q)
	if !d.Allow {
		return
	}
	r := d.Route
	n := u.routes[r]
	if n == nil {
		n = &used{make([]bool, len(r.PathAllowlist)), make([]bool, len(r.Methods))}
		u.routes[r] = n
	}
	if i := slices.Index(r.Methods, q.Method); i >= 0 {
		n.methods[i] = true
	}
	// The longest prefix that allows it: a wider one beside it may go.
	best := -1
	for i, prefix := range r.PathAllowlist {
		if covers(prefix, q.Path) && (best < 0 || len(prefix) > len(r.PathAllowlist[best])) {
			best = i
		}
	}
	if best >= 0 {
		n.paths[best] = true
	}
}

// covers is the rule of package route for paths that a list may hold.
func covers(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

// Narrowed is the table without what was never used: routes, paths and methods
// of their lists. A route without a list keeps every path or method. A route under
// a wider one stays, since the wider one would decide in its place, and so may
// let through what it does not; one that has ended stays too.
func (u *Use) Narrowed() (*route.Table, error) {
	var routes []route.Route
	for i := range u.t.Routes {
		r := &u.t.Routes[i]
		n := u.routes[r]
		if n == nil {
			if u.shields(r) || !r.Expires.IsZero() || r.MaxUses > 0 {
				routes = append(routes, *r)
			}
			continue
		}
		kept := *r
		kept.PathAllowlist = only(r.PathAllowlist, n.paths)
		kept.Methods = only(r.Methods, n.methods)
		routes = append(routes, kept)
	}
	return route.New(routes)
}

// shields tells whether another route would decide about the host of r if r were
// gone.
func (u *Use) shields(r *route.Route) bool {
	name := strings.TrimPrefix(r.Host, "*.")
	for _, other := range u.t.Routes {
		suffix, wild := strings.CutPrefix(other.Host, "*.")
		if wild && other.Host != r.Host && (name == suffix || strings.HasSuffix(name, "."+suffix)) {
			return true
		}
	}
	return false
}

// only is what of list is true in used; nil, which is everything, stays so.
func only(list []string, used []bool) []string {
	if list == nil {
		return nil
	}
	kept := []string{}
	for i, s := range list {
		if used[i] {
			kept = append(kept, s)
		}
	}
	return kept
}
