package route

import (
	"slices"
	"time"
)

// Cure is the narrowest proposal that lets q pass once it is merged into t: it
// adds q's own path and method and nothing else, to the route that decides about
// the host or to a new one. A route that has ended counts as begun again, without
// an end. ok is false when q is allowed already, and when no proposal would do:
// for a port, or for a path or method that no list may hold.
func Cure(t *Table, q Query) (p Proposal, ok bool) {
	for range 5 { // a route may refuse for its end, its method and its path
		d := t.Match(q)
		switch d.Code {
		case "":
			return p, p.Host != ""
		case HostNotAllowed:
			p = Proposal{Host: q.Host, PathAllowlist: []string{q.Path}, Methods: []string{q.Method}}
		case PathNotAllowed:
			p.Host, p.PathAllowlist = d.Route.Host, []string{q.Path}
		case MethodNotAllowed:
			p.Host, p.Methods = d.Route.Host, []string{q.Method}
		case RouteExpired, RouteUsedUp:
			p.Host = d.Route.Host
			t = t.renewed(p.Host)
			continue
		default:
			return Proposal{}, false
		}
		next, _, err := Merge(t, p)
		if err != nil {
			return Proposal{}, false
		}
		t = next
	}
	return Proposal{}, false
}

// renewed is t with no end of the route spelt host.
func (t *Table) renewed(host string) *Table {
	routes := slices.Clone(t.Routes)
	for i := range routes {
		if routes[i].Host == host {
			routes[i].Expires, routes[i].MaxUses = time.Time{}, 0
		}
	}
	return index(routes)
}
