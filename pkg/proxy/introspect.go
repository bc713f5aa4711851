package proxy

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// introspect answers for the magic host. It reads only; names of credentials
// are shown, values never.
func (x *exchange) introspect() {
	x.access.Verdict = "introspect"
	if x.method != "GET" && x.method != "HEAD" {
		x.fault(405, codeNoSuchPage, MagicHost+" answers GET and HEAD only")
		return
	}
	switch x.dest.path {
	case "/allowlist":
		x.page("application/json", x.p.allowlist())
	case "/healthz":
		x.page("text/plain; charset=utf-8", []byte("ok\n"))
	case "/status":
		x.page("application/json", x.p.status())
	case "/metrics":
		x.page("text/plain; version=0.0.4; charset=utf-8", x.p.metrics())
	case "/ca.pem":
		x.page("application/x-pem-file", x.p.Authority.CertPEM())
	default:
		x.fault(404, codeNoSuchPage, MagicHost+" has /allowlist, /healthz, /status, /metrics and /ca.pem")
	}
}

func (x *exchange) page(kind string, body []byte) {
	x.own(200, http1.Header{{Name: "Content-Type", Value: kind}, {Name: "Cache-Control", Value: "no-store"}}, body)
}

// allowlist is the table in JSON, which route.Parse reads. Notes are the
// operator's own.
func (p *Proxy) allowlist() []byte {
	routes := append([]route.Route{}, p.table.Load().Routes...)
	for i := range routes {
		routes[i].Note = ""
	}
	b, _ := json.Marshal(map[string]any{"routes": routes})
	return append(b, '\n')
}

func (p *Proxy) status() []byte {
	if p.Status == nil {
		return []byte("{}\n")
	}
	b, _ := json.Marshal(p.Status())
	return append(b, '\n')
}

// metrics is the Prometheus text format, version 0.0.4.
func (p *Proxy) metrics() []byte {
	var b strings.Builder
	c := &p.count
	one := func(name, kind, help string, samples ...string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		for _, s := range samples {
			b.WriteString(name + s + "\n")
		}
	}
	one("egress_proxy_requests_total", "counter", "Exchanges by verdict.",
		fmt.Sprintf(`{verdict="allow"} %d`, c.allowed.Load()),
		fmt.Sprintf(`{verdict="block"} %d`, c.blocked.Load()),
		fmt.Sprintf(`{verdict="error"} %d`, c.failed.Load()))
	one("egress_proxy_sent_bytes_total", "counter", "Content sent to origins.", fmt.Sprintf(" %d", c.sent.Load()))
	one("egress_proxy_received_bytes_total", "counter", "Content received from origins.", fmt.Sprintf(" %d", c.received.Load()))
	one("egress_proxy_connections", "gauge", "Connections of the agent.", fmt.Sprintf(" %d", c.conns.Load()))
	one("egress_proxy_exchanges", "gauge", "Exchanges in flight.", fmt.Sprintf(" %d", p.inFlight()))
	one("egress_proxy_goroutines", "gauge", "Goroutines of the process.", fmt.Sprintf(" %d", runtime.NumGoroutine()))
	one("egress_proxy_routes", "gauge", "Routes in the table.", fmt.Sprintf(" %d", len(p.table.Load().Routes)))
	one("egress_proxy_table_swaps_total", "counter", "Tables taken up since the start.", fmt.Sprintf(" %d", c.reloads.Load()))
	return []byte(b.String())
}
