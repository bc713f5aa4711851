package route

import (
	"slices"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// A ManifestRoute is a route as a manifest spells it. Its TokenEnv is still
// empty: the slot is assigned when the manifest's effective routes are made.
type ManifestRoute struct {
	Route
	// TokenRef names the variable of the operator's environment that holds the
	// credential, "" when there is none.
	TokenRef string
}

// manifestFields are the keys of a route in a manifest.
var manifestFields = slices.Insert(slices.DeleteFunc(slices.Clone(fields), func(f string) bool {
	return f == "auth_scheme" || f == "token_env"
}), 4, "auth")

// ManifestRoutes reads node, the value of egress_proxy.routes in a manifest: a
// list as in routes.yaml, with auth: {scheme, token_ref} instead of auth_scheme
// and token_env. Faults go to w; the result is of use only when there is none.
func ManifestRoutes(w *strictyaml.Walker, node *yaml.Node) []ManifestRoute {
	items, ok := routeItems(w, node)
	if !ok {
		return nil
	}
	list := make([]ManifestRoute, len(items))
	routes := make([]Route, len(items))
	for i, n := range items {
		list[i] = readManifestRoute(w, n)
		routes[i] = list[i].Route
	}
	checkNodes(w, items, routes)
	return list
}

func readManifestRoute(w *strictyaml.Walker, n *yaml.Node) ManifestRoute {
	since := w.Count()
	m, ok := w.Mapping(n, "a route", manifestFields...)
	if !ok {
		return ManifestRoute{}
	}
	r := readCommon(w, m)
	var ref string
	if a := m.Get("auth"); a != nil {
		r.AuthScheme, ref = readAuth(w, a, r.AuthHeader != "")
	}
	if ref != "" {
		r.TokenEnv = slotPrefix + "0" // stands in for the slot while r is checked
	}
	finish(w, n, &r, since)
	r.TokenEnv = ""
	return ManifestRoute{r, ref}
}

// readAuth reads {scheme, token_ref}. With header the scheme may be left out or
// empty.
func readAuth(w *strictyaml.Walker, n *yaml.Node, header bool) (scheme, ref string) {
	m, ok := w.Mapping(n, "auth", "scheme", "token_ref")
	if !ok {
		return "", ""
	}
	s, t := m.Get("scheme"), m.Get("token_ref")
	if t == nil || s == nil && !header {
		w.Fault(n, "half a credential", "auth needs both scheme and token_ref")
	}
	if s != nil {
		scheme = readString(w, m, "scheme", header)
	}
	if scheme != "" && !token(scheme) {
		w.Fault(s, "scheme "+strictyaml.Quote(scheme)+" is no token", "wanted a scheme such as Bearer")
		scheme = "Basic" // goes with everything, so that this is reported once
	}
	if t != nil {
		ref = readString(w, m, "token_ref", false)
	}
	if ref != "" && !variable(ref) {
		w.Fault(t, "token_ref "+strictyaml.Quote(ref)+" is no name of an environment variable", "wanted letters, digits and _, not beginning with a digit")
	}
	return scheme, ref
}
