package bottle

import (
	"fmt"
	"slices"

	"bottle/pkg/route"
)

// EffectiveRoutes is the table that the bottle starts with: the manifest's
// routes in their order, then its egress.allowlist and the agent's default
// allowlist as routes that pass everything. A host that one of the manifest's
// routes decides already, a wildcard included, gets no second route: it would be
// the more exact one and undo the first. slots maps EGRESS_PROXY_TOKEN_0, _1, …,
// numbered in the order of the routes, to the variables of the operator's
// environment that hold the credentials.
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
	own, err := route.New(slices.Clone(routes))
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for _, host := range slices.Concat(m.Allowlist, DefaultAllowlist(m.Agent)) {
		if seen[host] || own.Lookup(host) != nil { // finds "*.x" for "*.x" and what is below
			continue
		}
		seen[host] = true
		routes = append(routes, route.Route{Host: host})
	}
	t, err = route.New(routes)
	return t, slots, err
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
