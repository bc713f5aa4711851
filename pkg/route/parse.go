package route

import (
	"fmt"
	"slices"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// fields are the keys of a route in routes.yaml, in the order of Encode.
var fields = []string{"host", "path_allowlist", "methods", "ports", "auth_scheme", "token_env", "auth_header", "auth_user",
	"role", "tls", "expires", "max_uses", "note"}

// Parse reads a table from YAML or JSON. name is the file, for messages. The
// error is strictyaml.Faults: every fault of the file at once.
func Parse(name string, data []byte) (*Table, error) {
	r := reader{w: strictyaml.NewWalker(name)}
	if r.readParts(data) {
		return r.table(name)
	}
	return parseWhole(name, data)
}

// parseWhole is Parse by way of the tree of the whole document.
func parseWhole(name string, data []byte) (*Table, error) {
	root, faults := strictyaml.Document(name, data, strictyaml.Limits{Bytes: MaxBytes})
	if root == nil {
		return nil, faults
	}
	r := reader{w: strictyaml.NewWalker(name)}
	r.w.Add(faults)
	r.readRoot(root)
	return r.table(name)
}

// A reader collects the routes of a table, and what is needed of their places
// once the nodes are gone.
type reader struct {
	w      *strictyaml.Walker
	routes []Route
	places []place // of the hosts
	lines  []int32 // in which the routes begin
	roles  map[int][]place
}

// readParts reads a long table in parts. It gives up, and the table has to be
// read as a whole, when it cannot be cut or something is wrong with it as a
// document. What is wrong with its routes is reported alike.
func (r *reader) readParts(data []byte) bool {
	parts := strictyaml.Cut(data, strictyaml.Limits{Bytes: MaxBytes}, "routes")
	if parts == nil {
		return false
	}
	for parts.More() {
		items, ok := parts.Next()
		if !ok || len(r.routes)+len(items) > MaxRoutes {
			return false
		}
		if r.routes == nil {
			r.grow(min(MaxRoutes, parts.About(len(items))))
		}
		r.read(items)
	}
	return true
}

func (r *reader) readRoot(root *yaml.Node) {
	m, ok := r.w.Mapping(root, "the table", "routes")
	if !ok {
		return
	}
	list := m.Get("routes")
	if list == nil {
		r.w.Fault(root, "routes is missing", `wanted "routes:" with a list, or "routes: []"`)
		return
	}
	if items, ok := routeItems(r.w, list); ok {
		r.grow(len(items))
		r.read(items)
	}
}

func (r *reader) grow(n int) {
	r.routes, r.places, r.lines = make([]Route, 0, n), make([]place, 0, n), make([]int32, 0, n)
}

func (r *reader) read(items []*yaml.Node) {
	for _, n := range items {
		route := readRoute(r.w, n)
		if route.Role != nil && r.roles == nil {
			r.roles = map[int][]place{}
		}
		for item := range route.Role {
			r.roles[len(r.routes)] = append(r.roles[len(r.routes)], placeOf(locate(n, "role", item)))
		}
		r.routes = append(r.routes, route)
		r.places = append(r.places, placeOf(locate(n, "host", -1)))
		r.lines = append(r.lines, int32(n.Line))
	}
}

func placeOf(n *yaml.Node) place { return place{int32(n.Line), int32(n.Column)} }

// table makes the table, unless there are faults.
func (r *reader) table(name string) (*Table, error) {
	checkAll(r.routes, func(i int, _ string, item int, msg, want string) {
		at := r.places[i]
		if item >= 0 { // only roles are compared by their items
			at = r.roles[i][item]
		}
		r.w.Fault(&yaml.Node{Line: int(at.line), Column: int(at.col)}, msg, want)
	}, func(i int) string { return fmt.Sprintf("line %d", r.lines[i]) })
	if err := r.w.Faults().Err(); err != nil {
		return nil, err
	}
	t := index(r.routes)
	t.file, t.places = name, r.places
	return t, nil
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
	r.MaxUses = readUses(w, m)
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

// readUses reads max_uses, 0 when it is absent.
func readUses(w *strictyaml.Walker, m strictyaml.Mapping) int {
	n := m.Get("max_uses")
	if n == nil {
		return 0
	}
	v, ok := w.Int(n, "max_uses")
	if ok && v == 0 {
		w.Fault(n, "max_uses is 0", wantUses+", or no max_uses at all")
	}
	return v
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
