// Package profile holds route sets by name, such as pypi: the hosts that one job
// takes, with paths and methods narrowed to it.
package profile

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"

	"bottle/pkg/route"
)

// tables are routes.yaml documents: what a bottle gets is what one reads there.
//
//go:embed tables/*.yaml
var tables embed.FS

// Names are the profiles there are, sorted.
func Names() []string {
	var names []string
	files, _ := tables.ReadDir("tables")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	for name := range tools {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Known tells whether there is a profile of that name.
func Known(name string) bool { return slices.Contains(Names(), name) }

// FromTools tells a profile whose hosts come from a tool's configuration: always, or
// as pypi where there is one.
func FromTools(name string) bool { return tools[name] != nil || name == "pypi" }

// Text is the profile as a table with its comments. Of npm, go and debian, and of
// pypi where pip has an index of its own, the hosts are read from those tools' own
// configuration on this machine; the error then says what could not be read.
func Text(name string) ([]byte, error) {
	if read := tools[name]; read != nil {
		return toolText(name, read)
	}
	data, err := tables.ReadFile(path.Join("tables", name+".yaml"))
	if err != nil {
		return nil, Unknown(name)
	}
	if name == "pypi" {
		return pypiText(data)
	}
	return data, nil
}

// Routes are the routes of the profile.
func Routes(name string) ([]route.Route, error) {
	data, err := Text(name)
	if err != nil {
		return nil, err
	}
	t, err := route.Parse("profile "+name, data)
	if err != nil {
		return nil, err
	}
	return t.Routes, nil
}

// All are the routes of several profiles. Those of one host are united: a mirror
// may serve npm and Go under paths of its own.
func All(names []string) ([]route.Route, error) {
	var all []route.Route
	for _, name := range names {
		routes, err := Routes(name)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			all = join(all, r)
		}
	}
	return all, nil
}

// join adds r, to the route of the same host if there is one.
func join(routes []route.Route, r route.Route) []route.Route {
	i := slices.IndexFunc(routes, func(o route.Route) bool { return o.Host == r.Host })
	if i < 0 {
		return append(routes, r)
	}
	o := &routes[i]
	o.PathAllowlist = unite(o.PathAllowlist, r.PathAllowlist)
	o.Methods = unite(o.Methods, r.Methods)
	if o.Ports != nil || r.Ports != nil {
		o.Ports = unite(orDefault(o.Ports), orDefault(r.Ports))
	}
	return routes
}

// unite is the union; a list that is absent means everything.
func unite[T comparable](a, b []T) []T {
	if a == nil || b == nil {
		return nil
	}
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(slices.Clone(a), x)
		}
	}
	return a
}

// orDefault is ports, or those of a route that names none.
func orDefault(ports []int) []int {
	if ports == nil {
		return []int{80, 443}
	}
	return ports
}

// Unknown is the error for a name that is no profile.
func Unknown(name string) error {
	return fmt.Errorf("unknown profile %q; wanted one of %s", name, strings.Join(Names(), ", "))
}
