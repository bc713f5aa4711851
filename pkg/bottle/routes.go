package bottle

import (
	"fmt"
	"slices"

	"bottle/pkg/profile"
	"bottle/pkg/route"
)

// EffectiveRoutes is the table that the bottle starts with: the manifest's
// routes in their order, then its egress.allowlist as routes that pass everything,
// its egress.profiles, and the agent's default allowlist. A host that an earlier
// one of these decides already, a wildcard included, gets no second route: it would
// be the more exact one and undo the first. slots maps EGRESS_PROXY_TOKEN_0, _1, …,
// numbered in the order of the routes, to the variables of the operator's
// environment that hold the credentials. An error is also a profile whose hosts
// cannot be known on this machine.
func EffectiveRoutes(m *Manifest) (t *route.Table, slots map[string]string, err error) {
	var routes []route.Route
	slots = map[string]string{}
	for _, r := range m.EgressProxy.Routes {
		if r.TokenRef != "" {
			r.TokenEnv = fmt.Sprintf("EGRESS_PROXY_TOKEN_%d", len(slots))
			slots[r.TokenEnv] = r.TokenRef
		}
		routes = append(routes, r.Route)
	}
	profiles, err := profile.All(m.Profiles)
	if err != nil {
		return nil, nil, err
	}
	for _, more := range [][]route.Route{bare(m.Allowlist), profiles, bare(DefaultAllowlist(m.Agent))} {
		if routes, err = undecided(routes, more); err != nil {
			return nil, nil, err
		}
	}
	t, err = route.New(routes)
	return t, slots, err
}

// bare are routes that pass everything of each host.
func bare(hosts []string) []route.Route {
	var routes []route.Route
	for _, h := range hosts {
		routes = append(routes, route.Route{Host: h})
	}
	return routes
}

// undecided appends those of more whose host no route decides.
func undecided(routes, more []route.Route) ([]route.Route, error) {
	t, err := route.New(slices.Clone(routes))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, r := range more {
		if !seen[r.Host] && t.Lookup(r.Host) == nil { // finds "*.x" for "*.x" and what is below
			routes = append(routes, r)
		}
		seen[r.Host] = true
	}
	return routes, nil
}

// PipelockAllowlist is the api_allowlist of the bottle's pipelock: the hosts of
// the effective routes. left are those that pipelock cannot match.
func PipelockAllowlist(m *Manifest) (names, left []string, err error) {
	t, _, err := EffectiveRoutes(m)
	if err != nil {
		return nil, nil, err
	}
	names, left = t.Hosts()
	return names, left, nil
}

// HasRole tells whether one of the manifest's routes carries the role.
func (m *Manifest) HasRole(role string) bool {
	return slices.ContainsFunc(m.EgressProxy.Routes, func(r route.ManifestRoute) bool { return slices.Contains(r.Role, role) })
}
