package mirror

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// An interception is tls_interception in a configuration.
type interception struct {
	*text
	place   *yaml.Node // for messages
	value   *yaml.Node // the mapping; nil without one
	enabled bool
	domains []string
}

const interceptionKey = "tls_interception"

func (t *text) interception() interception {
	in := interception{text: t, place: t.root}
	in.value = child(t.root, interceptionKey)
	if in.value == nil {
		return in
	}
	in.place = in.value
	if n := child(in.value, "enabled"); n != nil {
		in.enabled = n.Decode(&in.enabled) == nil && in.enabled
	}
	if n := child(in.value, "passthrough_domains"); n != nil {
		n.Decode(&in.domains) // pipelock refuses what is no list
	}
	return in
}

// passes tells whether the TLS of a host, or of all of a wildcard's hosts, is
// left alone.
func (in interception) passes(host string) bool {
	if !in.enabled {
		return true
	}
	host = same(host)
	return slices.ContainsFunc(in.domains, func(d string) bool {
		d = same(d)
		suffix, wild := strings.CutPrefix(d, "*.")
		name := strings.TrimPrefix(host, "*.")
		return d == host || wild && (name == suffix || strings.HasSuffix(name, "."+suffix))
	})
}

// withAuthority is the configuration with the authority's files in it. Those it
// names itself are replaced: egress-proxy trusts the bottle's own alone.
func (in interception) withAuthority(cert, key string) ([]byte, error) {
	if in.value.Kind != yaml.MappingNode || len(in.value.Content) == 0 {
		return nil, in.at(in.place, interceptionKey+" is written in a way that is not edited here", "wanted a plain mapping")
	}
	var edits []edit
	flow, inserted := in.value.Style&yaml.FlowStyle != 0, ""
	first := in.offset(in.value.Content[0])
	for _, f := range []struct{ key, path string }{{"ca_cert", cert}, {"ca_key", key}} {
		n := child(in.value, f.key)
		if n == nil {
			inserted += fmt.Sprintf("%s: %q", f.key, f.path)
			if flow {
				inserted += ", "
			} else {
				inserted += in.newline() + strings.Repeat(" ", in.value.Content[0].Column-1)
			}
			continue
		}
		start, end, ok := in.end(n)
		if !ok {
			return nil, in.at(n, f.key+" is written in a way that is not edited here", "wanted a plain path")
		}
		edits = append(edits, edit{start, end, fmt.Sprintf("%q", f.path)})
	}
	edits = append(edits, edit{first, first, inserted})
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := in.apply(edits)
	return out, in.check(out, cert, key)
}

// check parses the edited text again: the paths are there, and all else is as
// it was.
func (in interception) check(out []byte, cert, key string) error {
	after, err := readText(in.file, out)
	if err != nil {
		return err
	}
	now := after.interception()
	c, k := child(now.value, "ca_cert"), child(now.value, "ca_key")
	others := func(n *yaml.Node) *yaml.Node { return without(without(n, "ca_cert"), "ca_key") }
	if c == nil || k == nil || c.Value != cert || k.Value != key || !equal(others(in.value), others(now.value)) ||
		!equal(without(in.root, interceptionKey), without(after.root, interceptionKey)) {
		return in.at(in.place, interceptionKey+" cannot be edited", "wanted a plain mapping, one setting per line")
	}
	return nil
}

// mergePassed returns config with hosts on its passthrough_domains, and those
// that were added. A configuration that ends no TLS needs none.
func mergePassed(file string, config []byte, hosts []string) ([]byte, []string, error) {
	t, err := readText(file, config)
	if err != nil {
		return nil, nil, err
	}
	in := t.interception()
	hosts = slices.DeleteFunc(slices.Clone(hosts), in.passes)
	if len(hosts) == 0 {
		return config, nil, nil
	}
	l, err := t.listIn(in.value, "passthrough_domains")
	if err != nil {
		return nil, nil, err
	}
	change := l.compare(hosts, false)
	edits, err := l.edits(change)
	if err != nil {
		return nil, nil, err
	}
	out := t.apply(edits)
	after, err := readText(file, out)
	if err != nil {
		return nil, nil, err
	}
	now := after.interception()
	if !slices.Equal(now.domains, append(slices.Clone(l.entries), change.Added...)) || !equal(without(in.value, l.name), without(now.value, l.name)) ||
		!equal(without(t.root, interceptionKey), without(after.root, interceptionKey)) {
		return nil, nil, in.at(l.place(), l.name+" cannot be edited", "wanted a plain list, one entry per line")
	}
	return out, change.Added, nil
}
