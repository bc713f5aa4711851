package mirror

import (
	"bytes"
	"fmt"
	"net/netip"
)

// Settings are what a bottle's own pipelock needs to know.
type Settings struct {
	// Listen is the host:port of its one listener.
	Listen string
	// Names are its allowlist, as Names returns it; none means Nobody.
	Names []string
	// AllowPrivate are internal networks that names may resolve to.
	AllowPrivate []netip.Prefix
}

// Config is the configuration of a pipelock that enforces the allowlist of one
// bottle and scans what it can see without ending TLS itself.
func Config(s Settings) []byte {
	names := s.Names
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
