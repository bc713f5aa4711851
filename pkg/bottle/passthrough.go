package bottle

import (
	"slices"

	"bottle/pkg/profile"
	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// registries are the hosts that package managers download from as they are
// shipped. Behind them are archives, which pipelock could not scan: it holds
// back a whole answer, at 2 ms a kilobyte, and refuses what is compressed or
// larger than 5 MiB. Those of npm, go and apt are not here: their tools'
// configuration says which they are, see PassthroughHosts.
var registries = []string{
	"registry.yarnpkg.com",   // yarn: `yarn config get registry`
	"pypi.org",               // pip: --index-url (pip.pypa.io/en/stable/cli/pip_install)
	"files.pythonhosted.org", // pip: where the index's links lead (docs.pypi.org/api/index-api)
	"index.crates.io",        // cargo: the index (doc.rust-lang.org/cargo/reference/registry-index.html)
	"static.crates.io",       // cargo: dl in that index's config.json
	"rubygems.org",           // gem, bundler: `gem sources`
	"index.rubygems.org",     // bundler: the compact index
	"repo.maven.apache.org",  // maven: "central" of the super POM; gradle: mavenCentral()
	"repo.packagist.org",     // composer: the default repository (getcomposer.org/doc/05-repositories.md)
	"api.nuget.org",          // dotnet: `dotnet nuget list source`
	"repo.hex.pm",            // mix: `mix hex.repo list`
	"conda.anaconda.org",     // conda-forge
	"repo.anaconda.com",      // conda: the default channels
	"dl-cdn.alpinelinux.org", // apk: /etc/apk/repositories
	"static.rust-lang.org",   // rustup: RUSTUP_DIST_SERVER
	"nodejs.org",             // node's headers, for native modules
}

// DefaultPassthrough are the hosts whose TLS the bottle's pipelock leaves alone
// unless the manifest has a list of its own: the APIs of the known agents, whose
// answers must stream, and the package registries. Being on this list lets no
// host through; only the routes do.
func DefaultPassthrough() []string {
	var hosts []string
	for _, agent := range Agents {
		hosts = append(hosts, DefaultAllowlist(agent)...)
	}
	hosts = append(hosts, registries...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// PassthroughHosts are the hosts whose TLS the bottle's pipelock leaves alone: the
// manifest's, or DefaultPassthrough with the registries of those of its profiles
// that are read from a tool's configuration. An error says which could not be read.
func (m *Manifest) PassthroughHosts() ([]string, error) {
	hosts := slices.Clone(m.Pipelock.Passthrough)
	if !m.passDefault {
		return hosts, nil
	}
	for _, name := range m.Profiles {
		if !profile.FromTools(name) {
			continue
		}
		routes, err := profile.Routes(name)
		if err != nil {
			return nil, err
		}
		for _, r := range routes {
			hosts = append(hosts, r.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// readPipelockTLS reads what pipelock is to do with TLS. A configuration of the
// operator's says that itself.
func (m *reader) readPipelockTLS(p strictyaml.Mapping) {
	m.Pipelock.Intercept = m.Pipelock.Config == ""
	for _, key := range []string{"intercept", "passthrough"} {
		if k, _ := p.Field(key); k != nil && p.Get("config") != nil {
			m.Fault(k, "pipelock has both config and "+key, "wanted "+key+" to be set in the configuration itself")
		}
	}
	m.field(p, "intercept", func(n *yaml.Node) {
		if v, ok := m.Bool(n, "intercept"); ok {
			m.Pipelock.Intercept = v
		}
	})
	if p.Get("passthrough") == nil && m.Pipelock.Intercept {
		m.Pipelock.Passthrough, m.passDefault = DefaultPassthrough(), true
	}
	m.field(p, "passthrough", func(n *yaml.Node) { m.Pipelock.Passthrough = m.hosts(n, "passthrough") })
	if k, _ := p.Field("passthrough"); k != nil && !m.Pipelock.Intercept && p.Get("config") == nil {
		m.Fault(k, "passthrough without intercept", "wanted no list, since pipelock leaves all TLS alone")
	}
}
