package bottle

import (
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bottle/pkg/profile"
	"bottle/pkg/route"
	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

func (m *reader) readEgress(n *yaml.Node) {
	e, ok := m.Mapping(n, "egress", "allowlist", "profiles")
	if !ok {
		return
	}
	m.field(e, "profiles", m.readProfiles)
	m.field(e, "allowlist", m.readAllowlist)
}

func (m *reader) readProfiles(n *yaml.Node) {
	items, ok := m.List(n, "egress.profiles")
	if !ok {
		return
	}
	for _, item := range items {
		name, ok := m.String(item, "a profile")
		if ok && !profile.Known(name) {
			m.Fault(item, "unknown profile "+strictyaml.Quote(name), "wanted one of "+strings.Join(profile.Names(), ", "))
		}
		m.Profiles = append(m.Profiles, name)
	}
}

func (m *reader) readReadOnly(n *yaml.Node) {
	items, ok := m.List(n, "read_only")
	if !ok {
		return
	}
	for _, item := range items {
		p, ok := m.String(item, "a path of read_only")
		if ok && p == "" {
			m.Fault(item, "a path of read_only is empty", "wanted a file or folder")
			continue
		}
		m.ReadOnly = append(m.ReadOnly, filepath.Clean(p))
	}
}

// readBackend: env protects nothing, and a file does not choose it.
func (m *reader) readBackend(n *yaml.Node) {
	s, ok := m.String(n, "backend")
	if ok && s != "local" && s != "docker" {
		m.Fault(n, "backend is "+strictyaml.Quote(s), "wanted local or docker")
	}
	m.Backend = s
}

func (m *reader) readAllowlist(n *yaml.Node) { m.Allowlist = m.hosts(n, "egress.allowlist") }

// hosts reads a list of hosts by the rule for routes: each as a route that is a
// host and nothing else.
func (m *reader) hosts(n *yaml.Node, what string) (hosts []string) {
	items, ok := m.List(n, what)
	if !ok {
		return nil
	}
	routes := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Column: n.Column}
	for _, item := range items {
		if _, ok := m.String(item, "a host of "+what); !ok {
			continue
		}
		key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "host", Line: item.Line, Column: item.Column}
		routes.Content = append(routes.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
			Line: item.Line, Column: item.Column, Content: []*yaml.Node{key, item}})
	}
	for _, r := range route.ManifestRoutes(m.Walker, routes) {
		hosts = append(hosts, r.Host)
	}
	return hosts
}

func (m *reader) readEgressProxy(n *yaml.Node) {
	e, ok := m.Mapping(n, "egress_proxy", "routes", "allow_private", "upstream_ca")
	if !ok {
		return
	}
	m.field(e, "routes", func(n *yaml.Node) { m.EgressProxy.Routes = route.ManifestRoutes(m.Walker, n) })
	m.field(e, "allow_private", m.readAllowPrivate)
	m.field(e, "upstream_ca", m.path(&m.EgressProxy.UpstreamCA, "upstream_ca"))
	m.refs = map[string]string{}
	for _, r := range m.EgressProxy.Routes {
		if r.TokenRef != "" {
			m.refs[r.TokenRef] = r.Host
		}
	}
}

func (m *reader) readAllowPrivate(n *yaml.Node) {
	items, ok := m.List(n, "allow_private")
	if !ok {
		return
	}
	for _, item := range items {
		s, ok := m.String(item, "a network of allow_private")
		if !ok {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Bits() == 0 || p != p.Masked() || p.Addr().Is4In6() {
			m.Fault(item, "allow_private "+strictyaml.Quote(s)+" is no network", "wanted an address with a length and no bits behind it, as in 10.0.0.0/8")
			continue
		}
		m.EgressProxy.AllowPrivate = append(m.EgressProxy.AllowPrivate, p)
	}
}

func (m *reader) readPipelock(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "off" {
		return
	}
	if n.Kind != yaml.MappingNode {
		m.Fault(n, "pipelock is "+strictyaml.Kind(n), "wanted off, or a mapping with program or image, config or intercept and passthrough")
		return
	}
	p, ok := m.Mapping(n, "pipelock", "program", "image", "config", "intercept", "passthrough")
	if !ok {
		return
	}
	m.field(p, "program", m.text(&m.Pipelock.Program, "program")) // a bare name is looked up in PATH: not cleaned
	m.field(p, "image", m.text(&m.Pipelock.Image, "image"))
	m.field(p, "config", m.path(&m.Pipelock.Config, "config"))
	m.readPipelockTLS(p)
	if (p.Get("program") == nil) == (p.Get("image") == nil) {
		m.Fault(n, "pipelock has neither or both of program and image", "wanted one of them, or pipelock: off")
	}
}

func (m *reader) readProtect(n *yaml.Node) {
	p, ok := m.Mapping(n, "protect", "git_config", "secrets", "mask", "show")
	if !ok {
		return
	}
	m.field(p, "git_config", m.yesNo(&m.Protect.GitConfig, "git_config"))
	m.field(p, "secrets", m.yesNo(&m.Protect.Secrets, "secrets"))
	m.field(p, "mask", m.patterns(&m.Protect.Mask, "mask"))
	m.field(p, "show", m.patterns(&m.Protect.Show, "show"))
}

// yesNo returns a reader of true or false.
func (m *reader) yesNo(to *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if v, ok := m.Bool(n, what); ok {
			*to = v
		}
	}
}

// patterns returns a reader of a list of paths in the workspace, in which the signs
// of path.Match may be.
func (m *reader) patterns(to *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		items, ok := m.List(n, "protect."+what)
		if !ok {
			return
		}
		for _, item := range items {
			s, ok := m.String(item, "a path of protect."+what)
			if !ok {
				continue
			}
			if _, err := path.Match(s, ""); err != nil || !filepath.IsLocal(s) || path.Clean(s) == "." {
				m.Fault(item, "protect."+what+" "+strictyaml.Quote(s)+" is no path in the workspace", "wanted a name or a path from the workspace on, as in *.p12 or config/prod.yaml")
				continue
			}
			*to = append(*to, s)
		}
	}
}

func (m *reader) readDocker(n *yaml.Node) {
	d, ok := m.Mapping(n, "docker", "network", "bind")
	if !ok {
		return
	}
	m.field(d, "network", func(n *yaml.Node) {
		s, ok := m.String(n, "docker.network")
		if ok && s != "none" && s != "bridge" {
			m.Fault(n, "docker.network is "+strictyaml.Quote(s), "wanted none or bridge")
		}
		m.Docker.Network = s
	})
	m.field(d, "bind", m.yesNo(&m.Docker.Bind, "docker.bind"))
}

func (m *reader) readLimits(n *yaml.Node) {
	l, ok := m.Mapping(n, "limits", "memory", "pids", "cpus", "idle", "wall")
	if !ok {
		return
	}
	m.field(l, "memory", m.readMemory)
	m.field(l, "pids", func(n *yaml.Node) {
		v, ok := m.Int(n, "pids")
		if ok && (v < 1 || v > 1<<22) { // PID_MAX_LIMIT, proc(5)
			m.Fault(n, fmt.Sprintf("pids is %d", v), "wanted 1-4194304")
		}
		m.Limits.Pids = v
	})
	m.field(l, "cpus", m.readCPUs)
	m.field(l, "idle", m.duration(&m.Limits.Idle, "idle"))
	m.field(l, "wall", m.duration(&m.Limits.Wall, "wall"))
}

// duration returns a reader of a time such as 30m.
func (m *reader) duration(to *time.Duration, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || d < time.Second {
			m.Fault(n, what+" is "+shown(n), "wanted a time of at least 1s, such as 30m or 8h")
			return
		}
		*to = d
	}
}

func (m *reader) readMemory(n *yaml.Node) {
	v, ok := parseMemory(n.Value)
	if n.Kind != yaml.ScalarNode || !ok {
		m.Fault(n, "memory is "+shown(n), "wanted bytes, or a number with k, m or g, as in 4g; at least 16m")
		return
	}
	m.Limits.Memory = v
}

// parseMemory reads a number of bytes with the units of docker's --memory
// (1k = 1024), lower case; less than 16 MiB starts no agent.
func parseMemory(s string) (int64, bool) {
	shift := 0
	switch {
	case strings.HasSuffix(s, "k"):
		shift = 10
	case strings.HasSuffix(s, "m"):
		shift = 20
	case strings.HasSuffix(s, "g"):
		shift = 30
	}
	digits := s
	if shift > 0 {
		digits = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != digits || n > 1<<50>>shift {
		return 0, false
	}
	n <<= shift
	return n, n >= 16<<20
}

func (m *reader) readCPUs(n *yaml.Node) {
	v, err := strconv.ParseFloat(n.Value, 64)
	isNumber := n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float")
	if !isNumber || err != nil || !(v >= 0.01 && v <= 4096) { // false for NaN
		m.Fault(n, "cpus is "+shown(n), "wanted a number of processors such as 2 or 0.5")
		return
	}
	m.Limits.CPUs = v
}

// shown is the value of n for a message.
func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return strictyaml.Quote(n.Value)
	}
	return strictyaml.Kind(n)
}
