package mirror

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bottle/pkg/route"
)

// Settings are what a bottle's own pipelock needs to know.
type Settings struct {
	// Name is the bottle's.
	Name string
	// Dir is the folder of its files, as pipelock itself sees it.
	Dir string
	// Listen is the host:port of its one listener.
	Listen string
	// Table are the routes: their hosts are its allowlist, those that are passed
	// through it passes too, and it does not scan the headers they fill in.
	Table *route.Table
	// AllowPrivate are internal networks that names may resolve to.
	AllowPrivate []netip.Prefix
	// Intercept has it end TLS, but for the hosts Passthrough.
	Intercept   bool
	Passthrough []string
	// Roots are the certificates, as PEM, that it trusts in the place of its
	// system's; none for its system's.
	Roots []byte
	// Own is the operator's configuration, which messages call OwnFile and which
	// replaces all that Config says; nil for none.
	Own     []byte
	OwnFile string
}

// At is s for a pipelock that sees its files in dir and listens there.
func (s Settings) At(dir, listen string) Settings {
	s.Dir, s.Listen = dir, listen
	return s
}

// The files of a bottle's pipelock.
const (
	ConfigFile = "pipelock.yaml"
	CAFile     = "ca.pem"
	KeyFile    = "ca-key.pem"
	RootsFile  = "roots.pem"
)

// Config is the configuration of a pipelock that enforces the allowlist of one
// bottle, with names on it, and scans what the bottle sends and is sent.
func Config(s Settings, names []string) []byte {
	if len(names) == 0 {
		names = []string{Nobody}
	}
	var b bytes.Buffer
	b.WriteString("# The pipelock of one bottle. pipemirror edits api_allowlist; pipelock takes it up at once.\n")
	b.WriteString("version: 1\n")
	b.WriteString("mode: strict # the only mode that enforces the list\n")
	b.WriteString("api_allowlist:\n" + blockItems("  - ", "\n", names))
	fmt.Fprintf(&b, "fetch_proxy:\n  listen: %q\n", s.Listen)
	// 60 a minute for a whole domain by default, 0 meaning 60 again: one build
	// that fetches its packages is over that in a second.
	b.WriteString("  monitoring:\n    max_requests_per_minute: 1000000\n")
	// Tunnels end after max_tunnel_seconds even when busy, and both proxies keep
	// no stream from living; removed routes are cut by egress-proxy.
	b.WriteString("forward_proxy:\n  enabled: true\n  max_tunnel_seconds: 31536000\n  idle_timeout_seconds: 86400\n")
	// The name in a ClientHello was held against the CONNECT before it came here.
	// Where pipelock does that itself it ends an intercepted HTTP/1.1 connection
	// after one answer, without saying so.
	b.WriteString("  sni_verification: false\n")
	if s.Intercept {
		b.Write(s.interception())
	}
	if len(s.AllowPrivate) > 0 {
		b.WriteString("ssrf:\n  ip_allowlist:\n")
		for _, p := range s.AllowPrivate {
			fmt.Fprintf(&b, "    - %q\n", p.Masked().String())
		}
	}
	b.WriteString("logging:\n  format: json # its config_reload lines are what confirms a change\n  output: stdout\n")
	b.WriteString("sentry:\n  enabled: false\n")
	return b.Bytes()
}

// interception are the settings for scanning what is inside TLS.
func (s Settings) interception() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tls_interception:\n  enabled: true\n  ca_cert: %q\n  ca_key: %q\n", s.path(CAFile), s.path(KeyFile))
	if hosts := s.passthrough(); len(hosts) > 0 {
		// A host that is added here while pipelock runs is refused, together with
		// all else of that edit: such an edit needs a restart.
		b.WriteString("  passthrough_domains:\n" + blockItems("    - ", "\n", hosts))
	}
	// The headers that egress-proxy fills in carry a credential, each to the one
	// host it is meant for; scanned, they would be refused.
	fmt.Fprintf(&b, "request_body_scanning:\n  enabled: true\n  action: block\n  scan_headers: true\n  sensitive_headers: [%s]\n", quoteAll(s.sensitive()))
	b.WriteString("dlp:\n  scan_env: false # its environment holds nothing of the bottle's\n")
	return b.Bytes()
}

// passthrough are the hosts whose TLS is not ended: those that the operator
// names, and those of routes that egress-proxy itself passes through, where the
// agent would meet pipelock's certificate.
func (s Settings) passthrough() []string {
	hosts := append(slices.Clone(s.Passthrough), passthroughRoutes(s.Table)...)
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func passthroughRoutes(t *route.Table) (hosts []string) {
	for _, r := range t.Routes {
		if r.TLS == route.Passthrough && !strings.Contains(r.Host, ":") { // not IPv6, which pipelock cannot match
			hosts = append(hosts, r.Host)
		}
	}
	return hosts
}

// sensitive are the headers that pipelock scans for secrets: of its own list
// those that egress-proxy does not fill in. Authorization, X-Api-Key and
// X-Goog-Api-Key are what an approval fills in later.
func (s Settings) sensitive() []string {
	return slices.DeleteFunc([]string{"Cookie", "X-Token", "Proxy-Authorization"}, func(h string) bool {
		return slices.ContainsFunc(s.Table.Routes, func(r route.Route) bool { return strings.EqualFold(r.AuthHeader, h) })
	})
}
