package route

import (
	"fmt"
	"slices"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// fields are the keys of a route in routes.yaml, in the order of Encode.
var fields = []string{"host", "path_allowlist", "methods", "ports", "auth_scheme", "token_env", "auth_header", "auth_user",
	"role", "tls", "expires", "note"}

// Parse reads a table from YAML or JSON. name is the file, for messages. The
// error is strictyaml.Faults: every fault of the file at once.
func Parse(name string, data []byte) (*Table, error) {
	root, faults := strictyaml.Document(name, data, strictyaml.Limits{Bytes: MaxBytes})
	if root == nil {
		return nil, faults
	}
	w := strictyaml.NewWalker(name)
	w.Add(faults)
	routes, places := readTable(w, root)
	if err := w.Faults().Err(); err != nil {
		return nil, err
	}
	t := index(routes)
	t.file, t.places = name, places
	return t, nil
}

func readTable(w *strictyaml.Walker, root *yaml.Node) ([]Route, []place) {
	m, ok := w.Mapping(root, "the table", "routes")
	if !ok {
		return nil, nil
	}
	list := m.Get("routes")
	if list == nil {
		w.Fault(root, "routes is missing", `wanted "routes:" with a list, or "routes: []"`)
		return nil, nil
	}
	items, ok := routeItems(w, list)
	if !ok {
		return nil, nil
	}
	routes, places := make([]Route, len(items)), make([]place, len(items))
	for i, n := range items {
		routes[i] = readRoute(w, n)
		at := locate(n, "host", -1)
		places[i] = place{int32(at.Line), int32(at.Column)}
	}
	checkNodes(w, items, routes)
	return routes, places
}

func routeItems(w *strictyaml.Walker, list *yaml.Node) ([]*yaml.Node, bool) {
	items, ok := w.List(list, "routes")
	if len(items) > MaxRoutes {
		w.Fault(items[MaxRoutes], tooMany(len(items)), wantFewer)
		return nil, false
	}
	return items, ok
}

// checkNodes is checkAll with the places of the nodes that routes came from.
func checkNodes(w *strictyaml.Walker, items []*yaml.Node, routes []Route) {
	checkAll(routes, func(i int, field string, item int, msg, want string) {
		w.Fault(locate(items[i], field, item), msg, want)
	}, func(i int) string { return fmt.Sprintf("line %d", items[i].Line) })
}

func readRoute(w *strictyaml.Walker, n *yaml.Node) Route {
	since := w.Count()
	m, ok := w.Mapping(n, "a route", fields...)
	if !ok {
		return Route{}
	}
	r := readCommon(w, m)
	r.AuthScheme = readString(w, m, "auth_scheme", r.AuthHeader != "")
	r.TokenEnv = readString(w, m, "token_env", false)
	finish(w, n, &r, since)
	return r
}

// readCommon reads what a route of a table and one of a manifest share.
func readCommon(w *strictyaml.Walker, m strictyaml.Mapping) Route {
	r := Route{
		PathAllowlist: readStrings(w, m, "path_allowlist"),
		Methods:       readStrings(w, m, "methods"),
		AuthHeader:    readString(w, m, "auth_header", false),
		AuthUser:      readString(w, m, "auth_user", false),
		Note:          readString(w, m, "note", true),
		TLS:           readString(w, m, "tls", false),
	}
	if n := m.Get("ports"); n != nil {
		r.Ports, _ = w.Ints(n, "ports")
	}
	if n := m.Get("role"); n != nil {
		r.Role, _ = w.StringOrList(n, "role")
	}
	r.Host = readHost(w, m)
	readExpires(w, m, &r)
	return r
}

// readHost converts a name in Unicode and leaves the rest to check.
func readHost(w *strictyaml.Walker, m strictyaml.Mapping) string {
	n := m.Get("host")
	if n == nil {
		w.Fault(m.Node, "host is missing", "wanted host: NAME")
		return ""
	}
	s, ok := w.String(n, "host")
	if !ok || ascii(s) {
		return s
	}
	host, msg, want := fileHost(s)
	if msg != "" {
		w.Fault(n, msg, want)
	}
	return host
}

func readExpires(w *strictyaml.Walker, m strictyaml.Mapping, r *Route) {
	n := m.Get("expires")
	if n == nil {
		return
	}
	const want = "wanted an RFC 3339 time such as 2030-01-31T12:00:00Z"
	if n.Kind != yaml.ScalarNode || n.Tag != "!!timestamp" && n.Tag != "!!str" {
		w.Fault(n, "expires is "+strictyaml.Kind(n), want)
		return
	}
	t, ok := parseTime(n.Value)
	if !ok {
		w.Fault(n, "expires "+strictyaml.Quote(n.Value)+" is no time", want)
	}
	r.Expires = t
}

// readString reads an optional field, "" when it is absent.
func readString(w *strictyaml.Walker, m strictyaml.Mapping, key string, empty bool) string {
	n := m.Get(key)
	if n == nil {
		return ""
	}
	s, ok := w.String(n, key)
	if ok && s == "" && !empty {
		w.Fault(n, key+" is empty", "wanted a value, or no "+key)
	}
	return s
}

func readStrings(w *strictyaml.Walker, m strictyaml.Mapping, key string) []string {
	n := m.Get(key)
	if n == nil {
		return nil
	}
	list, _ := w.Strings(n, key)
	return list
}

// finish checks r, which was read from n, and normalises it. A fault at a place
// that has one since is the same mistake and not reported again.
func finish(w *strictyaml.Walker, n *yaml.Node, r *Route, since int) {
	upTo := w.Count()
	r.check(func(field string, item int, msg, want string) {
		at := locate(n, field, item)
		if upTo > since && w.FaultSince(since, at) {
			return
		}
		w.Fault(at, msg, want)
	})
	r.normalise()
}

// locate is the node of an item of a field of the route n, else that of the
// field, else n. The parts of a credential stand in for each other.
func locate(n *yaml.Node, field string, item int) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return n
	}
	m := strictyaml.Mapping{Node: n}
	names := []string{field}
	if field == "auth_scheme" || field == "token_env" {
		names = append(names, "auth_scheme", "token_env", "auth")
	}
	for _, name := range names {
		v := m.Get(name)
		switch {
		case v == nil:
		case item >= 0 && v.Kind == yaml.SequenceNode && item < len(v.Content):
			return v.Content[item]
		default:
			return v
		}
	}
	return n
}

// unique is list without doubles, the first of each kept; list itself when it
// has none.
func unique[T comparable](list []T) []T {
	if len(list) > 32 {
		return uniqueLong(list)
	}
	for i, v := range list {
		if slices.Contains(list[:i], v) {
			return uniqueLong(list)
		}
	}
	return list
}

func uniqueLong[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	out := make([]T, 0, len(list))
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
