package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/cli"

	"gopkg.in/yaml.v3"
)

// borrowed is what another tool's settings say, in our words. What has none is
// in left, with the reason: nothing is dropped in silence, and nothing widened.
type borrowed struct {
	file   string
	hosts  []string // egress.allowlist
	routes []borrowedRoute
	masks  []string // protect.mask
	left   []string
}

// A borrowedRoute has the fields that the original's manifest knows.
type borrowedRoute struct {
	Host  string   `yaml:"host" json:"host"`
	Paths []string `yaml:"path_allowlist" json:"path_allowlist,omitempty"`
	Auth  *struct {
		Scheme   string `yaml:"scheme" json:"scheme"`
		TokenRef string `yaml:"token_ref" json:"token_ref"`
	} `yaml:"auth" json:"auth,omitempty"`
	Role any `yaml:"role" json:"role,omitempty"`
	// Rest are fields that the original does not know.
	Rest map[string]any `yaml:",inline" json:"-"`
}

// maxSettings bounds a file of another tool's.
const maxSettings = 1 << 20

// borrow reads the settings of sandbox-runtime (JSON, with network or
// filesystem) or a manifest of the original bottle (egress, egress_proxy).
func borrow(name string) (*borrowed, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSettings {
		return nil, cli.Refusedf("%s: larger than %d bytes; wanted settings", name, maxSettings)
	}
	var top map[string]yaml.Node
	if err := yaml.Unmarshal(data, &top); err != nil {
		return nil, cli.Refusedf("%s: %s; wanted the settings of sandbox-runtime or a manifest of the original", name, comment(err.Error()))
	}
	b := &borrowed{file: name}
	_, srt := top["network"]
	_, files := top["filesystem"]
	_, egress := top["egress"]
	_, proxy := top["egress_proxy"]
	switch {
	case srt || files:
		err = b.sandboxRuntime(top)
	case egress || proxy:
		err = b.original(top)
	default:
		err = errors.New("neither network nor filesystem nor egress in it; wanted the settings of sandbox-runtime or a manifest of the original")
	}
	if err != nil {
		return nil, cli.Refusedf("%s: %s", name, comment(err.Error())) // it quotes the file
	}
	return b, nil
}

// leave notes keys that have no counterpart, if there are any.
func (b *borrowed) leave(what, why string, values []string) {
	if len(values) > 0 {
		b.left = append(b.left, fmt.Sprintf("%s %s: %s", what, strings.Join(values, ", "), why))
	}
}

// sandboxRuntime takes the allowed domains. There "*.x" is not x itself, here it
// is as well, which is said.
func (b *borrowed) sandboxRuntime(top map[string]yaml.Node) error {
	var network struct {
		Allowed []string             `yaml:"allowedDomains"`
		Denied  []string             `yaml:"deniedDomains"`
		Rest    map[string]yaml.Node `yaml:",inline"`
	}
	if err := decode(top, "network", &network); err != nil {
		return err
	}
	var wild []string
	for _, h := range network.Allowed {
		if denied := covered(h, network.Denied); denied != "" {
			b.leave("network.allowedDomains", "it would allow "+denied+", which is denied; name the hosts below it one by one", []string{h})
			continue
		}
		if strings.HasPrefix(h, "*.") {
			wild = append(wild, h)
		}
		b.hosts = append(b.hosts, h)
	}
	b.leave("network.allowedDomains", "taken over, but here the name without the star is allowed too", wild)
	b.leave("network.deniedDomains", "what no route names is refused without being listed", network.Denied)
	b.leave("network", "the bottle's only way out is egress-proxy, and sockets of the host are not shown", slices.Sorted(maps.Keys(network.Rest)))
	var files struct {
		AllowWrite []string             `yaml:"allowWrite"`
		DenyRead   []string             `yaml:"denyRead"`
		DenyWrite  []string             `yaml:"denyWrite"`
		Rest       map[string]yaml.Node `yaml:",inline"`
	}
	if err := decode(top, "filesystem", &files); err != nil {
		return err
	}
	writes := slices.DeleteFunc(files.AllowWrite, func(p string) bool { return p == "." || p == "./" || p == "/tmp" })
	b.leave("filesystem.allowWrite", "only the workspace is written to, and /tmp is the bottle's own", writes)
	var rest []string
	b.masks, rest = masksOf(files.DenyRead)
	b.leave("filesystem.denyRead", "nothing is shown but the workspace, system folders and read_only; what lies in the workspace belongs to protect.mask", rest)
	b.leave("filesystem.denyWrite", "what the host runs by itself is read-only (bottlerun's manual, protected paths); other files are not", files.DenyWrite)
	b.leave("filesystem", "nothing like it here", slices.Sorted(maps.Keys(files.Rest)))
	b.leaveKeys(top, "network", "filesystem")
	return nil
}

// masksOf are the paths that can only be meant in the workspace, as protect.mask has
// them, and the others.
func masksOf(paths []string) (masks, rest []string) {
	for _, p := range paths {
		name, anywhere := strings.CutPrefix(p, "**/")
		_, bad := path.Match(name, "")
		switch {
		case bad != nil, !filepath.IsLocal(name), path.Clean(name) == ".", strings.HasPrefix(name, "~"), strings.Contains(name, "**"),
			anywhere && strings.Contains(name, "/"):
			rest = append(rest, p)
		case anywhere:
			masks = append(masks, name)
		default:
			masks = append(masks, "./"+path.Clean(name))
		}
	}
	return masks, rest
}

// writeMasks writes what the agent is not to see of the workspace, if there is any.
func (b *borrowed) writeMasks(t *text) {
	if b == nil || len(b.masks) == 0 {
		return
	}
	t.line("# From %s.", comment(b.file))
	t.line("protect:")
	t.line("  mask:")
	for _, m := range b.masks {
		t.line("    - %s", quoted(m))
	}
}

// covered is the denied domain that the allowed one would let through.
func covered(allowed string, denied []string) string {
	suffix, wild := strings.CutPrefix(allowed, "*")
	for _, d := range denied {
		d = strings.TrimPrefix(d, "*.")
		if d == allowed || wild && strings.HasSuffix("."+d, suffix) || strings.HasSuffix(allowed, "."+d) {
			return d
		}
	}
	return ""
}

// original takes the allowlist and the routes.
func (b *borrowed) original(top map[string]yaml.Node) error {
	var egress struct {
		Allowlist []string             `yaml:"allowlist"`
		Rest      map[string]yaml.Node `yaml:",inline"`
	}
	if err := decode(top, "egress", &egress); err != nil {
		return err
	}
	b.hosts = egress.Allowlist
	var proxy struct {
		Routes []yaml.Node          `yaml:"routes"`
		Rest   map[string]yaml.Node `yaml:",inline"`
	}
	if err := decode(top, "egress_proxy", &proxy); err != nil {
		return err
	}
	for _, n := range proxy.Routes {
		var r borrowedRoute
		err := n.Decode(&r)
		if err == nil {
			_, err = json.Marshal(r) // a role may be anything in YAML
		}
		if err != nil {
			return fmt.Errorf("egress_proxy.routes, line %d: %v", n.Line, err)
		}
		if len(r.Rest) > 0 { // it may have narrowed the route
			return fmt.Errorf("egress_proxy.routes, line %d: unknown %s; a route is taken whole or not at all", n.Line, strings.Join(slices.Sorted(maps.Keys(r.Rest)), ", "))
		}
		b.routes = append(b.routes, r)
	}
	b.leave("egress", "not known here", slices.Sorted(maps.Keys(egress.Rest)))
	b.leave("egress_proxy", "not known here", slices.Sorted(maps.Keys(proxy.Rest)))
	b.leaveKeys(top, "egress", "egress_proxy")
	return nil
}

func (b *borrowed) leaveKeys(top map[string]yaml.Node, known ...string) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(top)), func(k string) bool { return slices.Contains(known, k) })
	b.leave("the keys", "not known here", keys)
}

// decode reads the mapping called key, if there is one.
func decode(top map[string]yaml.Node, key string, into any) error {
	node, ok := top[key]
	if !ok {
		return nil
	}
	if node.Kind == yaml.SequenceNode || node.Kind == yaml.ScalarNode && node.ShortTag() != "!!null" {
		return fmt.Errorf("%s: line %d: wanted a mapping", key, node.Line)
	}
	if err := node.Decode(into); err != nil {
		return fmt.Errorf("%s: %v", key, err)
	}
	return nil
}

// names reports whether the settings have a route for the host.
func (b *borrowed) names(host string) bool {
	return b != nil && slices.ContainsFunc(b.routes, func(r borrowedRoute) bool { return strings.EqualFold(r.Host, host) })
}

// unlike is what was left out, nothing without -from.
func (b *borrowed) unlike() []string {
	if b == nil {
		return nil
	}
	return b.left
}

func (b *borrowed) writeAllowlist(t *text) {
	if b == nil || len(b.hosts) == 0 {
		t.line("  allowlist: []")
		return
	}
	t.line("  # From %s.", comment(b.file))
	t.line("  allowlist:")
	for _, h := range b.hosts {
		t.line("    - %s", quoted(h))
	}
}

// writeRoutes writes the routes as they were.
func (b *borrowed) writeRoutes(t *text) {
	if b == nil || len(b.routes) == 0 {
		return
	}
	t.line("    # From %s.", comment(b.file))
	for _, r := range b.routes {
		data, err := json.Marshal(r) // JSON is YAML
		if err != nil {
			panic(err) // it was tried before
		}
		t.line("    - %s", data)
	}
}
