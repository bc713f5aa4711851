// Package learn finds the smallest readable set of routes that lets through
// requests which were seen: hosts as they were asked for, segment prefixes,
// methods and ports. It never makes a wildcard, an address range or a credential.
package learn

import (
	"maps"
	"slices"

	"bottle/pkg/route"
)

// Limits of what is kept, since an agent chose what was asked for.
const (
	maxHosts   = 4096 // a longer list nobody would read
	maxMethods = 16   // of one host
)

// A Set gathers requests.
type Set struct {
	hosts map[string]*host
	left  map[Left]int
}

// Left is something asked for that no learned route lets through, and why.
type Left struct{ Method, Host, Path, Why string }

// host is what was asked of one host.
type host struct {
	paths   tree
	methods map[string]bool
	ports   map[int]bool
	odd     bool // a port was asked for that is not its scheme's own
}

// New is an empty set.
func New() *Set { return &Set{hosts: map[string]*host{}, left: map[Left]int{}} }

// Add takes the request q into the set. It is false when no route should be
// learned from q; LeftOut then has the reason.
func (s *Set) Add(q route.Query) bool {
	why := unfit(q)
	h := s.hosts[q.Host]
	switch {
	case why != "":
	case h == nil && len(s.hosts) >= maxHosts:
		why = "more hosts were asked for than a person would read"
	case h == nil:
		h = &host{methods: map[string]bool{}, ports: map[int]bool{}}
		s.hosts[q.Host] = h
	case !h.methods[q.Method] && len(h.methods) >= maxMethods:
		why = "more methods were asked for than a person would read"
	}
	if why != "" {
		s.leave(q, why)
		return false
	}
	h.methods[q.Method] = true
	h.odd = h.odd || !(q.Scheme == "https" && q.Port == 443 || q.Scheme == "http" && q.Port == 80)
	h.ports[q.Port] = true
	h.paths.add(q.Path)
	return true
}

// unfit says why nothing is learned from q, "" when something is.
func unfit(q route.Query) string {
	r := route.Route{Host: q.Host, PathAllowlist: []string{q.Path}, Methods: []string{q.Method}, Ports: []int{q.Port}}
	if _, err := route.New([]route.Route{r}); err == nil {
		return ""
	}
	r.PathAllowlist = nil
	if _, err := route.New([]route.Route{r}); err == nil {
		return "a list of paths cannot hold the path, which could be read as another one"
	}
	return "the host or method is none that a route can name"
}

// maxLeft bounds what is told of what was left out.
const maxLeft = 1000

func (s *Set) leave(q route.Query, why string) {
	l := Left{q.Method, q.Host, q.Path, why}
	if _, ok := s.left[l]; !ok && len(s.left) >= maxLeft {
		l = Left{Why: "and others"}
	}
	s.left[l]++
}

// A Route is a learned one, and the ports that were asked for.
type Route struct {
	route.Route
	Asked []int
}

// Routes are the routes that let through all that Add took, by host.
func (s *Set) Routes() []Route {
	var routes []Route
	for _, name := range slices.Sorted(maps.Keys(s.hosts)) {
		routes = append(routes, s.hosts[name].route(name))
	}
	return routes
}

func (h *host) route(name string) Route {
	r := route.Route{Host: name, PathAllowlist: h.paths.prefixes(), Methods: usualFirst(slices.Collect(maps.Keys(h.methods)))}
	asked := slices.Sorted(maps.Keys(h.ports))
	if h.odd {
		r.Ports = asked
	}
	return Route{r, asked}
}

// usualFirst sorts methods as people say them.
func usualFirst(methods []string) []string {
	usual := []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
	slices.Sort(methods)
	slices.SortStableFunc(methods, func(a, b string) int { return place(usual, a) - place(usual, b) })
	return methods
}

func place(list []string, s string) int {
	if i := slices.Index(list, s); i >= 0 {
		return i
	}
	return len(list)
}

// LeftOut is what no route lets through, and how often it was asked for.
func (s *Set) LeftOut() map[Left]int { return s.left }
