package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/risk"
	"bottle/pkg/route"
)

// standing is how a proposal stands to the table that is served: worth filing,
// or settled with an answer.
type standing struct {
	settled bool
	isError bool
	text    string
}

// stand compares p with the live table t. What is allowed already, and what an
// approval would not change, is settled without the operator.
func stand(t *route.Table, p route.Proposal, now time.Time) standing {
	r := covering(t, p.Host)
	if r == nil || r.Expired(now) || r.MaxUses > 0 { // one of a number of uses may be used up, or soon
		return standing{}
	}
	paths, methods := coversPaths(r, p), coversAll(r.Methods, p.Methods)
	if paths && methods {
		return allowedAlready(r, p)
	}
	if r.Host != p.Host {
		return standing{} // an exact route beside the wildcard
	}
	if _, m, err := route.Merge(t, p); err != nil || m.Changed {
		return standing{}
	}
	return addsNothing(r, paths)
}

func allowedAlready(r *route.Route, p route.Proposal) standing {
	text := fmt.Sprintf("already allowed: %s is let through by the route %s (%s); nothing was filed\n", p.Host, r.Host, routeTerms(r))
	if p.Auth != nil {
		text += "reason: credentials of a host that has a route are the operator's choice; the proposed auth is not needed or not up to you\n"
	}
	return standing{settled: true, text: text + "next: retry the request now; a refusal whose body does not begin with \"egress-proxy:\" comes from the site or its login, not from the bottle"}
}

// addsNothing: merging p would leave the route r as it is, because what p leaves
// out means "every" in a proposal but adds nothing to a list.
func addsNothing(r *route.Route, paths bool) standing {
	what, how := "methods", `name the methods you need, as in "methods": ["POST"]`
	if !paths {
		what, how = "paths", `name the paths you need, or ask for every path with "path_allowlist": ["/"]`
	}
	return standing{settled: true, isError: true, text: fmt.Sprintf(
		"not filed: a proposal without %s adds nothing to the route %s, which has them (%s)\nnext: call egress-proxy-block again and %s",
		what, r.Host, routeTerms(r), how)}
}

// covering is the route of t that decides about host, or about all below a
// wildcard; nil when there is none.
func covering(t *route.Table, host string) *route.Route {
	suffix, wild := strings.CutPrefix(host, "*.")
	if !wild {
		return t.Lookup(host)
	}
	var best *route.Route
	for i := range t.Routes {
		r := &t.Routes[i]
		s, ok := strings.CutPrefix(r.Host, "*.")
		if ok && (s == suffix || strings.HasSuffix(suffix, "."+s)) && (best == nil || len(r.Host) > len(best.Host)) {
			best = r
		}
	}
	return best
}

// coversPaths reports whether r lets through every path that p asks for.
func coversPaths(r *route.Route, p route.Proposal) bool {
	if r.PathAllowlist == nil || slices.Contains(r.PathAllowlist, "/") {
		return true
	}
	if p.PathAllowlist == nil {
		return false
	}
	return !slices.ContainsFunc(p.PathAllowlist, func(path string) bool {
		return !slices.ContainsFunc(r.PathAllowlist, func(prefix string) bool { return below(prefix, path) })
	})
}

// below reports whether the prefix covers path on a segment boundary, and so
// all that path covers.
func below(prefix, path string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

// coversAll reports whether the list have, nil being all, has all of want.
func coversAll(have, want []string) bool {
	if have == nil {
		return true
	}
	return want != nil && !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}

// routeTerms says in words what r lets through.
func routeTerms(r *route.Route) string { return strings.Join(risk.Terms(r), "; ") }

// words is "every path", or "paths /a /b".
func words(one string, list []string) string { return risk.Words(one, list) }
