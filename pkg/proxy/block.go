package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// Codes of answers that are the proxy's own, beside those of package route.
// They stand in X-Egress-Proxy-Reason, in problem+json and in the log, and are
// stable.
const (
	codeBadRequest      = "bad-request"
	codeMismatch        = "destination-mismatch"
	codeNotHTTP         = "not-http"
	codeOverride        = "override-field"
	codePlainCredential = "credential-needs-https"
	codeNoCredential    = "credential-missing"
	codeInternal        = "internal-address"
	codeUpstream        = "upstream-failed"
	codeUpstreamTLS     = "upstream-certificate"
	codeUpstreamTimeout = "upstream-timeout"
	codeChain           = "upstream-proxy-refused"
	codeNoSuchPage      = "no-such-page"
)

// ReasonHeader tells the proxy's own answers from an origin's.
const ReasonHeader = "X-Egress-Proxy-Reason"

// tool is what an agent calls to ask for a route.
const tool = "egress-proxy-block"

// pipelockTool is what an agent calls when the second proxy refuses a host.
const pipelockTool = "pipelock-block"

// block answers a request that the table refuses.
func (x *exchange) block(d route.Decision) {
	x.route = d.Route
	x.access.Verdict = "block"
	text := "egress-proxy: " + d.Reason + "\n"
	p := problem{Code: d.Code, Detail: d.Reason, Host: x.dest.host, Path: x.dest.path, Method: x.method, Tool: tool}
	if d.Nearest != nil {
		text += fmt.Sprintf("The nearest route is %s.\n", d.Nearest.Host)
		p.Nearest = d.Nearest.Host
	}
	text += x.advice(d)
	x.answer(http.StatusForbidden, d.Code, d.Reason, text, p)
}

// advice names the tool and the arguments that would cure the refusal.
func (x *exchange) advice(d route.Decision) string {
	ask := fmt.Sprintf("To ask the operator, call the MCP tool %s with host %q", tool, x.dest.host)
	switch d.Code {
	case route.PathAmbiguous:
		return "Ask for the path in its plain form: without dot segments, doubled slashes, backslashes, ';' or encoded separators.\n"
	case route.PortNotAllowed:
		return "Ports are the operator's to open; use the default port, or ask the operator.\n"
	case route.RouteExpired, route.RouteUsedUp:
		ask = "What the operator granted has ended. To ask for it again" + strings.TrimPrefix(ask, "To ask the operator")
	case route.PathNotAllowed:
		ask += fmt.Sprintf(", path_allowlist [%q]", x.dest.path)
	case route.MethodNotAllowed:
		ask += fmt.Sprintf(", methods [%q]", x.method)
	}
	return ask + " and a justification. list-egress-proxy-routes shows what is allowed.\n"
}

// overrides are fields by which some servers take another path or method than
// that of the request line (IIS and Symfony; Rails, Express and Google's APIs).
var overrides = []string{
	"X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Forwarded-URI",
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
}

// How many of them, in this order, are for the path and for the method.
const pathOverrides, methodOverrides = 4, 3

// override is the name of such a field in the request, where the route
// restricts what it would change.
func (x *exchange) override() string {
	names := overrides
	if x.route.PathAllowlist == nil {
		names = names[pathOverrides:]
	}
	if x.route.Methods == nil {
		names = names[:max(0, len(names)-methodOverrides)]
	}
	for _, f := range x.header {
		if f.Name[0]|0x20 != 'x' {
			continue
		}
		if i := slices.IndexFunc(names, func(n string) bool { return sameField(n, f.Name) }); i >= 0 {
			return names[i]
		}
	}
	return ""
}

// fault answers with a status other than the table's refusal: status 400 and
// 403 are refusals too, 5xx a fault upstream.
func (x *exchange) fault(status int, code, why string) {
	x.access.Verdict = "block"
	if status >= 500 {
		x.access.Verdict = "error"
	}
	p := problem{Code: code, Detail: why, Host: x.dest.host, Path: x.dest.path, Method: x.method}
	text := "egress-proxy: " + why + "\n"
	if code == codeChain {
		p.Tool = pipelockTool
		text += fmt.Sprintf("If it refuses the host, call the MCP tool %s with host %q and a justification. If it refuses what is sent, send something else.\n", pipelockTool, x.dest.host)
	}
	x.answer(status, code, why, text, p)
}

// problem is a refusal for programs (RFC 9457).
type problem struct {
	Type    string `json:"type"`
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
	Host    string `json:"host,omitempty"`
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Nearest string `json:"nearest,omitempty"`
	Tool    string `json:"tool,omitempty"`
}

// answer sends a whole answer of the proxy's own. What a peer wrote is made
// printable first, so that neither a terminal nor a log can be led astray.
func (x *exchange) answer(status int, code, reason, text string, p problem) {
	x.giveBack()
	x.access.Reason, x.access.Code = printable(reason), code
	kind, body := "text/plain; charset=utf-8", []byte(printable(text))
	if wantsJSON(x.header) {
		p.Type, p.Title, p.Status = "about:blank", http.StatusText(status), status
		kind = "application/problem+json"
		body, _ = json.Marshal(p)
		body = append(body, '\n')
	}
	x.own(status, http1.Header{
		{Name: "Content-Type", Value: kind},
		{Name: "Cache-Control", Value: "no-store"},
		{Name: "X-Content-Type-Options", Value: "nosniff"},
		{Name: ReasonHeader, Value: code},
	}, body)
}

// own sends an answer that did not come from an origin.
func (x *exchange) own(status int, h http1.Header, body []byte) {
	if x.expect || x.length < 0 || x.length > little {
		x.close = true // content that nobody will read; see agentConn.drop
	}
	length := int64(len(body))
	if x.method == "HEAD" {
		h = h.Add("Content-Length", strconv.FormatInt(length, 10))
		body, length = nil, 0
	}
	if x.reply.head(status, http.StatusText(status), h, length) != nil {
		return
	}
	if len(body) > 0 {
		if _, err := x.reply.Write(body); err != nil {
			return
		}
	}
	x.reply.end(nil)
}

// wantsJSON reports whether the Accept fields name JSON.
func wantsJSON(h http1.Header) bool {
	for _, v := range h.Values("Accept") {
		if v = lower(v); strings.Contains(v, "application/json") || strings.Contains(v, "application/problem+json") {
			return true
		}
	}
	return false
}

// printable leaves newlines and printable ASCII as they are and spells all
// else as Go escapes.
func printable(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		clean = clean && (s[i] == '\n' || ' ' <= s[i] && s[i] < 0x7f)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || ' ' <= s[i] && s[i] < 0x7f {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		}
	}
	return b.String()
}
