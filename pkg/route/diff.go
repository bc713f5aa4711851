package route

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Change is one difference between two tables, as people read it.
type Change struct {
	Kind string `json:"kind"` // "add", "remove", "paths", "methods", "ports", "credential", "role", "tls", "expires", "max_uses", "note"
	Host string `json:"host"`
	// Text is one line: "+ host: ..." for a new route, "- host", "~ host: ..."
	// for a change, "! host: ..." where a credential is concerned.
	Text string `json:"text"`
	// Widens: something that was refused may now pass.
	Widens bool `json:"widens"`
}

// Diff says what changes from the table old to the table new: first what is
// gone, then the routes of new in their order.
func Diff(old, new *Table) []Change {
	var cs []Change
	for i := range old.Routes {
		r := &old.Routes[i]
		if new.find(r.Host) == nil {
			cs = append(cs, Change{"remove", r.Host, "- " + r.Host, false})
		}
	}
	for i := range new.Routes {
		r := &new.Routes[i]
		was := old.find(r.Host)
		if was == nil {
			cs = append(cs, added(r)...)
			continue
		}
		cs = append(cs, changed(was, r)...)
	}
	return cs
}

// find is the route whose host is spelt so, nil when there is none.
func (t *Table) find(host string) *Route {
	name, wild := wildcardSuffix(host)
	i := t.names[name].exact
	if wild {
		i = t.names[name].wildcard
	}
	if i == 0 {
		return nil
	}
	return &t.Routes[i-1]
}

// added describes a new route.
func added(r *Route) []Change {
	parts := []string{"every path"}
	if r.PathAllowlist != nil && !slices.Contains(r.PathAllowlist, "/") {
		parts = []string{"paths " + strings.Join(r.PathAllowlist, " ")}
	}
	if r.Methods != nil {
		parts = append(parts, "methods "+strings.Join(r.Methods, " "))
	}
	if r.Ports != nil {
		parts = append(parts, "ports "+portList(r.Ports))
	}
	if r.TLS != "" {
		parts = append(parts, "tls "+r.TLS+", unseen")
	}
	if r.Role != nil {
		parts = append(parts, "role "+strings.Join(r.Role, " "))
	}
	if !r.Expires.IsZero() {
		parts = append(parts, "until "+stamp(r.Expires))
	}
	if r.MaxUses != 0 {
		parts = append(parts, "for "+times(r.MaxUses))
	}
	cs := []Change{{"add", r.Host, "+ " + r.Host + ": " + strings.Join(parts, ", "), true}}
	if c := credential(r); c != "" {
		cs = append(cs, Change{"credential", r.Host, "! " + r.Host + ": credential added: " + c, true})
	}
	return cs
}

// changed describes what became of a route.
func changed(was, is *Route) []Change {
	d := differ{host: is.Host}
	d.credentials(credential(was), credential(is))
	d.paths(was.PathAllowlist, is.PathAllowlist)
	d.list("methods", "method", "every method", was.Methods, is.Methods)
	d.ports(was.Ports, is.Ports)
	d.list("role", "role", "", orEmpty(was.Role), orEmpty(is.Role))
	if was.TLS != is.TLS {
		d.add("tls", fmt.Sprintf("tls %s (was %s)", orIntercept(is.TLS), orIntercept(was.TLS)), is.TLS != "")
	}
	if !was.Expires.Equal(is.Expires) {
		later := is.Expires.IsZero() || !was.Expires.IsZero() && is.Expires.After(was.Expires)
		d.add("expires", "expires "+stamp(is.Expires)+" (was "+stamp(was.Expires)+")", later)
	}
	if was.MaxUses != is.MaxUses {
		more := is.MaxUses == 0 || was.MaxUses != 0 && is.MaxUses > was.MaxUses
		d.add("max_uses", "max_uses "+limit(is.MaxUses)+" (was "+limit(was.MaxUses)+")", more)
	}
	if was.Note != is.Note {
		d.add("note", "note changed", false)
	}
	return d.changes
}

// A differ collects the changes of one route.
type differ struct {
	host    string
	changes []Change
}

func (d *differ) add(kind, text string, widens bool) {
	sign := "~ "
	if kind == "credential" {
		sign = "! "
	}
	d.changes = append(d.changes, Change{kind, d.host, sign + d.host + ": " + text, widens})
}

func (d *differ) credentials(was, is string) {
	switch {
	case was == is:
	case was == "":
		d.add("credential", "credential added: "+is, true)
	case is == "":
		d.add("credential", "credential removed: "+was, false)
	default:
		d.add("credential", "credential changed: "+is+" (was "+was+")", true)
	}
}

// paths says in words when a route comes to allow every path.
func (d *differ) paths(was, is []string) {
	if was != nil && is != nil && !slices.Contains(was, "/") && slices.Contains(is, "/") {
		d.add("paths", "widened to every path (/)", true)
		is = slices.DeleteFunc(slices.Clone(is), func(p string) bool { return p == "/" })
	}
	d.list("paths", "path", "every path", was, is)
}

// list compares two lists of which nil means all.
func (d *differ) list(kind, one, all string, was, is []string) {
	switch {
	case was == nil && is == nil:
		return
	case was == nil:
		d.add(kind, fmt.Sprintf("narrowed from %s to %s", all, strings.Join(is, " ")), false)
		return
	case is == nil:
		d.add(kind, "widened to "+all, true)
		return
	}
	for _, s := range is {
		if !slices.Contains(was, s) {
			d.add(kind, one+" "+s+" added", true)
		}
	}
	for _, s := range was {
		if !slices.Contains(is, s) {
			d.add(kind, one+" "+s+" removed", false)
		}
	}
	if len(d.changes) == 0 && !slices.Equal(was, is) {
		d.add(kind, kind+" in another order", false)
	}
}

// ports are compared as a whole: absent means the default of the scheme, which
// neither contains nor is contained in a list.
func (d *differ) ports(was, is []int) {
	if !slices.Equal(was, is) {
		widens := slices.ContainsFunc(orDefault(is), func(p int) bool { return !slices.Contains(orDefault(was), p) })
		d.add("ports", "ports "+portList(is)+" (was "+portList(was)+")", widens)
	}
}

// credential describes what the proxy adds, "" for nothing. It names no value.
func credential(r *Route) string {
	if r.TokenEnv == "" {
		return ""
	}
	s := "from " + r.TokenEnv
	if r.AuthScheme != "" {
		s = r.AuthScheme + " " + s
	}
	if r.AuthUser != "" {
		s += " as user " + r.AuthUser
	}
	if r.AuthHeader != "" {
		s += " in " + r.AuthHeader
	}
	return s
}

func portList(ports []int) string {
	if ports == nil {
		return "443, 80 for http"
	}
	return strings.Trim(fmt.Sprint(ports), "[]")
}

func orDefault(ports []int) []int {
	if ports == nil {
		return []int{443, 80}
	}
	return ports
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func orIntercept(tls string) string {
	if tls == "" {
		return "intercept"
	}
	return tls
}

func limit(uses int) string {
	if uses == 0 {
		return "none"
	}
	return strconv.Itoa(uses)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339)
}
