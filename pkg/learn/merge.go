package learn

import (
	"slices"

	"bottle/pkg/route"
)

// Merge returns t with the learned routes merged in: a host without a route gets
// one, a route of its very name gains paths, methods and ports, and keeps all
// else. For a host that a wildcard of t decides about a route of its own is made,
// with what the wildcard allows and what was learned: widening the wildcard would
// let through what nobody asked for. left names the hosts where that cannot be, as
// the wildcard has a credential, a role or passes TLS through, which stay the
// operator's; and those whose route has ended, which he may renew.
func Merge(t *route.Table, learned []Route) (next *route.Table, left map[string]string, err error) {
	routes := slices.Clone(t.Routes)
	left = map[string]string{}
	for _, l := range learned {
		was := t.Lookup(l.Host)
		switch {
		case was == nil:
			routes = append(routes, l.Route)
		case !was.Expires.IsZero() || was.MaxUses > 0:
			left[l.Host] = "the route " + was.Host + " was granted for a time; grant it again with add -for or -uses"
		case was.TLS != "":
			left[l.Host] = "the route " + was.Host + " passes TLS through and has no lists"
		case was.Host == l.Host:
			i := slices.IndexFunc(routes, func(r route.Route) bool { return r.Host == l.Host })
			routes[i] = widened(*was, l)
		case was.TokenEnv != "" || was.Role != nil:
			left[l.Host] = "the wildcard " + was.Host + " has a credential, which a route beside it would not have"
		default:
			r := widened(*was, l)
			r.Host, r.Note = l.Host, ""
			routes = append(routes, r)
		}
	}
	next, err = route.New(routes)
	return next, left, err
}

// widened is r with the lists of l united with its own. Without a list it has
// every path, method or default port already.
func widened(r route.Route, l Route) route.Route {
	r.PathAllowlist = union(r.PathAllowlist, l.PathAllowlist)
	r.Methods = union(r.Methods, l.Methods)
	if r.Ports == nil && l.Ports != nil {
		r.Ports = []int{80, 443}
	}
	r.Ports = union(r.Ports, l.Asked)
	return r
}

func union[T comparable](old, more []T) []T {
	if old == nil {
		return nil
	}
	all := slices.Clone(old)
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}
