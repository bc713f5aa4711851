package mirror

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A RouteEdit is what a manifest's routes gain for one host: either entries of
// the lists that its route has, or a route of its own.
type RouteEdit struct {
	Host           string
	Paths, Methods []string
	// Lines are a new route's, the keys of a manifest as YAML; nil for a host that
	// has one.
	Lines []string
}

// EditRoutes returns manifest, which messages call file, with the edits made in
// egress_proxy.routes. Every byte besides stays as it is, comments too. The caller
// must parse the result and look whether it means what it should: the text is
// edited where it stands. The error is strictyaml.Faults: a manifest that is
// written in a way that is not edited so.
func EditRoutes(file string, manifest []byte, changes []RouteEdit) ([]byte, error) {
	t, err := readText(file, manifest)
	if err != nil {
		return nil, err
	}
	routes := child(child(t.root, "egress_proxy"), "routes")
	var edits []edit
	var fresh []RouteEdit
	for _, c := range changes {
		if c.Lines != nil {
			fresh = append(fresh, c)
			continue
		}
		more, err := t.widen(routes, c)
		if err != nil {
			return nil, err
		}
		edits = append(edits, more...)
	}
	if len(fresh) > 0 {
		e, err := t.appendRoutes(routes, fresh)
		if err != nil {
			return nil, err
		}
		edits = append(edits, e)
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	return t.apply(edits), nil
}

// widen adds to the lists of the route of c's host.
func (t *text) widen(routes *yaml.Node, c RouteEdit) ([]edit, error) {
	if routes == nil {
		return nil, t.fault(1, 1, "no route for "+c.Host, "wanted one in egress_proxy.routes")
	}
	i := slices.IndexFunc(routes.Content, func(n *yaml.Node) bool {
		host := child(n, "host")
		return host != nil && host.Value == c.Host
	})
	if i < 0 {
		return nil, t.at(routes, "no route for "+c.Host, "wanted one in egress_proxy.routes")
	}
	var all []edit
	for _, field := range []struct {
		name  string
		added []string
	}{{"path_allowlist", c.Paths}, {"methods", c.Methods}} {
		if len(field.added) == 0 {
			continue
		}
		l, err := t.listIn(routes.Content[i], field.name)
		if err != nil {
			return nil, err
		}
		l.gone = map[string]bool{}
		edits, err := l.edits(Change{Added: field.added})
		if err != nil {
			return nil, err
		}
		all = append(all, edits...)
	}
	return all, nil
}

// appendRoutes puts new routes behind the last one, or makes the list.
func (t *text) appendRoutes(routes *yaml.Node, fresh []RouteEdit) (edit, error) {
	nl, proxy := t.newline(), child(t.root, "egress_proxy")
	switch {
	case proxy == nil && (t.root == nil || t.root.Style&yaml.FlowStyle == 0):
		text := "egress_proxy:" + nl + "  routes:" + nl + items("    ", nl, fresh)
		if len(t.data) > 0 && t.data[len(t.data)-1] != '\n' {
			text = nl + text
		}
		return edit{len(t.data), len(t.data), text}, nil
	case proxy == nil || proxy.Kind != yaml.MappingNode || proxy.Style&yaml.FlowStyle != 0:
	case routes == nil && len(proxy.Content) > 0:
		at, indent := t.offset(proxy.Content[0]), strings.Repeat(" ", proxy.Content[0].Column-1)
		return edit{at, at, "routes:" + nl + items(indent+"  ", nl, fresh) + indent}, nil
	case routes == nil || routes.Kind != yaml.SequenceNode:
	case len(routes.Content) == 0:
		if at := t.offset(routes); at >= 0 && bytes.HasPrefix(t.data[at:], []byte("[]")) {
			indent := strings.Repeat(" ", proxy.Content[0].Column-1+2)
			return edit{at, at + 2, strings.TrimSuffix(nl+items(indent, nl, fresh), nl)}, nil
		}
	case routes.Style&yaml.FlowStyle == 0:
		return t.behind(routes, fresh)
	}
	place := t.root
	if proxy != nil {
		place = proxy
	}
	return edit{}, t.at(place, "egress_proxy.routes is written in a way that is not edited here", "wanted a plain list, \"- host: NAME\" at the beginning of each route")
}

// behind is an edit after the line that the last route ends on.
func (t *text) behind(routes *yaml.Node, fresh []RouteEdit) (edit, error) {
	last := routes
	for len(last.Content) > 0 {
		last = last.Content[len(last.Content)-1]
	}
	_, end, ok := t.end(last)
	if !ok {
		return edit{}, t.at(last, "the last route ends in a way that is not edited here", "wanted a value on one line\nhint: move that route up")
	}
	_, at := t.lineAround(end)
	text := items(strings.Repeat(" ", routes.Column-1), t.newline(), fresh)
	if at > 0 && t.data[at-1] != '\n' {
		text = t.newline() + text
	}
	return edit{at, at, text}, nil
}

// items are routes as lines of a list.
func items(indent, newline string, fresh []RouteEdit) string {
	var b strings.Builder
	for _, c := range fresh {
		for i, line := range c.Lines {
			dash := "  "
			if i == 0 {
				dash = "- "
			}
			b.WriteString(indent + dash + line + newline)
		}
	}
	return b.String()
}
