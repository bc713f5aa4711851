package mirror

import (
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Decision is what a pipelock with some configuration makes of a host, as far
// as its lists decide: what it scans is another matter.
type Decision struct {
	Allow bool `json:"allow"`
	// Entry is the first entry of api_allowlist that matches, "" for none.
	Entry string `json:"entry,omitempty"`
	// Mode is strict, or one of those in which the allowlist does not matter.
	Mode string `json:"mode"`
	// Seen tells that it ends TLS for the host and reads what passes.
	Seen bool `json:"seen"`
	// Passthrough is the entry of passthrough_domains for which it does not,
	// "" for none.
	Passthrough string `json:"passthrough,omitempty"`
}

// Decide asks config, a pipelock configuration that messages call file, about
// host. The error is strictyaml.Faults.
func Decide(file string, config []byte, host string) (Decision, error) {
	t, err := readText(file, config)
	if err != nil {
		return Decision{}, err
	}
	l, err := t.allowlist()
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Mode: "balanced", Entry: first(host, l.entries)}
	if n := child(t.root, "mode"); n != nil && n.Value != "" {
		d.Mode = n.Value
	}
	d.Allow = d.Mode != "strict" || d.Entry != ""
	tls := child(t.root, "tls_interception")
	if on := child(tls, "enabled"); on != nil && on.Tag == "!!bool" && strings.EqualFold(on.Value, "true") {
		if list := child(tls, "passthrough_domains"); list != nil {
			var entries []string
			for _, n := range list.Content {
				entries = append(entries, n.Value)
			}
			d.Passthrough = first(host, entries)
		}
		d.Seen = d.Passthrough == ""
	}
	return d, nil
}

// child is the value of key in the mapping n, nil when there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// first is the first entry that matches host as pipelock does it: without case
// and a trailing dot, a wildcard for the apex and all below, an address only as a
// whole.
func first(host string, entries []string) string {
	host = same(host)
	_, err := netip.ParseAddr(host)
	for _, e := range entries {
		base, wild := strings.CutPrefix(same(e), "*.")
		if host == base && (!wild || err != nil) || wild && err != nil && strings.HasSuffix(host, "."+base) {
			return e
		}
	}
	return ""
}
