package route

import (
	"slices"
	"strconv"
	"strings"
)

// slotPrefix begins the names of the variables that hold a bottle's credentials.
const slotPrefix = "EGRESS_PROXY_TOKEN_"

// Merged says what Merge did.
type Merged struct {
	Index   int  `json:"index"`   // of the route in the new table
	Added   bool `json:"added"`   // the host had no route
	Changed bool `json:"changed"` // the new table differs from the old one
	// NewSlot is the TokenEnv of an added route with a credential, whose value
	// is that of the operator's variable TokenRef; else both are "".
	NewSlot  string `json:"new_slot,omitempty"`
	TokenRef string `json:"token_ref,omitempty"`
	// AuthIgnored: a credential was proposed for a host that has a route;
	// credentials are the operator's.
	AuthIgnored bool `json:"auth_ignored,omitempty"`
	// PathsAdded and MethodsAdded are what an existing route gained.
	PathsAdded   []string `json:"paths_added,omitempty"`
	MethodsAdded []string `json:"methods_added,omitempty"`
	// Shadows is the host of the wildcard route that matched the added host
	// until now, "" when none did. Its credential no longer applies there.
	Shadows string `json:"shadows,omitempty"`
}

// Merge returns t with the proposal p merged in; t itself stays as it is.
//
// A host without a route gets one at the end of the table, with the next slot
// when p has a credential. A host with a route keeps all it has and gains the
// paths and methods of p that it lacks, after its own. A route without a list
// already allows everything and stays so; a proposal without a list adds
// nothing to one that has it. Merging p again changes nothing. The error is
// strictyaml.Faults when the result would be no valid table.
func Merge(t *Table, p Proposal) (*Table, Merged, error) {
	p.Host = proposedHost(p.Host)
	routes := slices.Clone(t.Routes)
	i := slices.IndexFunc(routes, func(r Route) bool { return r.Host == p.Host })
	var m Merged
	if i < 0 {
		r := p.route()
		m = Merged{Index: len(routes), Added: true, Changed: true}
		if p.Auth != nil {
			m.NewSlot, m.TokenRef = nextSlot(routes), p.Auth.TokenRef
			r.AuthScheme, r.TokenEnv = p.Auth.Scheme, m.NewSlot
		}
		if old := t.Lookup(p.Host); old != nil {
			m.Shadows = old.Host
		}
		routes = append(routes, r)
	} else {
		m = widen(&routes[i], p)
		m.Index = i
	}
	next, err := New(routes)
	if err != nil {
		return nil, Merged{}, err
	}
	return next, m, nil
}

// widen adds to r what p asks for.
func widen(r *Route, p Proposal) Merged {
	m := Merged{AuthIgnored: p.Auth != nil}
	r.PathAllowlist, m.PathsAdded = union(r.PathAllowlist, p.PathAllowlist)
	r.Methods, m.MethodsAdded = union(r.Methods, p.Methods)
	m.Changed = m.PathsAdded != nil || m.MethodsAdded != nil
	return m
}

// union is old followed by what of more it lacks, and that alone. A nil old is
// everything already.
func union(old, more []string) (all, added []string) {
	if old == nil {
		return nil, nil
	}
	all = slices.Clone(old)
	for _, s := range more {
		if !slices.Contains(all, s) {
			all, added = append(all, s), append(added, s)
		}
	}
	return all, added
}

// nextSlot is the slot after the highest in use. A gap is not filled: the proxy
// may still hold the value that the removed route's slot had, and it would go to
// the new host.
func nextSlot(routes []Route) string {
	next := 0
	for _, r := range routes {
		if n, ok := slot(r.TokenEnv); ok && n >= next {
			next = n + 1
		}
	}
	return slotPrefix + strconv.Itoa(next)
}

// slot is the number of a slot's name. Names of other shapes, such as one with
// leading zeros, are the operator's own and never collide.
func slot(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, slotPrefix)
	if !ok || len(digits) > 9 {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && strconv.Itoa(n) == digits
}
