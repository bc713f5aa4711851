// Package route is the document routes.yaml: the hosts that a bottle may reach,
// and what of them.
package route

import (
	"slices"
	"strings"
	"time"

	"bottle/pkg/strictyaml"
)

// Limits of a table. A longer file or a longer list is refused.
const (
	MaxBytes  = 16 << 20
	MaxRoutes = 100_000
)

// Passthrough is the TLS of a route that is tunnelled and not intercepted.
const Passthrough = "passthrough"

// RoleClaudeCodeOAuth marks the one route that carries Claude Code's own login.
const RoleClaudeCodeOAuth = "claude_code_oauth"

// A Route lets through what goes to one host, or to one host and all below it.
// A nil list means no restriction.
type Route struct {
	// Host is an exact name, "*.suffix" (the apex and any depth below), or an
	// address, in canonical form: ASCII lower case, no trailing dot, netip's
	// spelling.
	Host string
	// PathAllowlist are absolute path prefixes that match on a segment
	// boundary. With a list, paths are read strictly; see Match.
	PathAllowlist []string
	// Methods is what is allowed; nil is every method but TRACE and CONNECT.
	Methods []string
	// Ports is what is allowed; nil is 443 for https and 80 for http.
	Ports []int
	// AuthScheme and TokenEnv: the proxy sends "AuthScheme VALUE", VALUE being
	// that of the variable TokenEnv. Both are "" on a route without a
	// credential; AuthScheme alone may be when AuthHeader is given.
	AuthScheme, TokenEnv string
	// AuthHeader receives the credential instead of Authorization.
	AuthHeader string
	// AuthUser is the user part of a Basic credential (RFC 7617).
	AuthUser string
	// Role are known roles.
	Role []string
	// TLS is "" for intercepted, or Passthrough.
	TLS string
	// Expires is when the route ends, in UTC; zero is never.
	Expires time.Time
	// MaxUses is how many requests the route lets through in all, 0 is no limit.
	// Who serves the table counts them; see Query.Uses.
	MaxUses int
	// Note is for people.
	Note string
}

// A Table is a valid list of routes with its index. It is not changed after it
// was made, so that any number of goroutines may use it.
type Table struct {
	Routes []Route

	names  map[string]routesOf // a host, or what follows "*." -> its routes
	depths depths              // of the wildcards in names
	domain map[string]int32    // registrable domain -> its first route, for Nearest

	file   string  // that the table was parsed from, "" for none
	places []place // of the hosts in file
}

// routesOf are the routes of one name: the exact one, and the wildcard of it and
// all below. They count from 1 in Routes, 0 is none.
type routesOf struct{ exact, wildcard int32 }

// depths is a set of numbers of labels; a name has at most 127.
type depths [2]uint64

func (d *depths) add(n int)      { d[n>>6&1] |= 1 << (n & 63) }
func (d *depths) has(n int) bool { return d[n>>6&1]&(1<<(n&63)) != 0 }

// labels is how many labels name has.
func labels(name string) int { return strings.Count(name, ".") + 1 }

// A place is a line and column of a file.
type place struct{ line, col int32 }

// New makes a table of routes. They are checked as Parse checks a file; the
// error is strictyaml.Faults, whose File is "route N" counted from 1. The table
// has its own copy of the slice, but shares the lists in it.
func New(routes []Route) (*Table, error) {
	routes = slices.Clone(routes)
	for i := range routes {
		routes[i].normalise()
	}
	if err := checkValues(routes).Err(); err != nil {
		return nil, err
	}
	return index(routes), nil
}

// normalise gives r the one form of its meaning: no doubles in lists, "" for the
// default of TLS, times in UTC.
func (r *Route) normalise() {
	r.PathAllowlist = unique(r.PathAllowlist)
	r.Methods = unique(r.Methods)
	r.Ports = unique(r.Ports)
	if r.TLS == "intercept" {
		r.TLS = ""
	}
	if !r.Expires.IsZero() {
		r.Expires = r.Expires.UTC().Round(0) // and no monotonic reading
	}
}

// index makes the table of routes that have been checked.
func index(routes []Route) *Table {
	t := &Table{Routes: routes, names: make(map[string]routesOf, len(routes)), domain: map[string]int32{}}
	for i := range routes {
		host := routes[i].Host
		name, wild := wildcardSuffix(host)
		of := t.names[name]
		if wild {
			of.wildcard = int32(i) + 1
			t.depths.add(labels(name))
		} else {
			of.exact = int32(i) + 1
		}
		t.names[name] = of
		if d := registrable(host); d != "" {
			if _, ok := t.domain[d]; !ok {
				t.domain[d] = int32(i)
			}
		}
	}
	return t
}

// Lookup is the route of a host in canonical form, whatever its path or expiry,
// nil when there is none: the exact one, else the wildcard with the longest
// suffix. It costs one map lookup for host itself, and one for each of its
// suffixes that has as many labels as some wildcard.
func (t *Table) Lookup(host string) *Route {
	of := t.names[host]
	if of.exact > 0 {
		return &t.Routes[of.exact-1]
	}
	if t.depths == (depths{}) || isAddress(host) {
		return nil // a name's wildcard never matches an address
	}
	n, suffix := labels(host), host
	for of.wildcard == 0 {
		if suffix = parent(suffix); suffix == "" {
			return nil
		}
		if n--; t.depths.has(n) {
			of = t.names[suffix]
		}
	}
	return &t.Routes[of.wildcard-1]
}

// Nearest is a route of the same registrable domain as host, which its author
// may have meant, nil when there is none.
func (t *Table) Nearest(host string) *Route {
	if i, ok := t.domain[registrable(host)]; ok {
		return &t.Routes[i]
	}
	return nil
}

// Warnings are what is valid but rarely meant. For a table that was not parsed
// from a file, File is "route N", counted from 1.
func (t *Table) Warnings() []strictyaml.Fault {
	var ws []strictyaml.Fault
	for i := range t.Routes {
		for _, w := range warn(&t.Routes[i]) {
			w.File = routeName(i)
			if i < len(t.places) {
				w.File, w.Line, w.Col = t.file, int(t.places[i].line), int(t.places[i].col)
			}
			ws = append(ws, w)
		}
	}
	return ws
}
