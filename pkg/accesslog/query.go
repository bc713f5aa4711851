package accesslog

import (
	"strings"
	"time"

	"bottle/pkg/route"
)

// clipped is how egress-proxy ends what it has cut, after so many bytes.
const clipped, clippedAt = "...", 200

// Asked says what the table had to decide about an exchange, and what it decided.
type Asked struct {
	Query   route.Query // at the time that was given
	Allowed bool        // by the table; what became of the request is another matter
	// Cut: the path was too long for the log. Query has what of it is sure, up
	// to a segment's end.
	Cut bool
}

// Asked is false for an exchange that no table decided about: introspection, and
// what was malformed before there was a destination. It is also false for a line
// that does not tell what was asked: with a host, method or path in bytes that the
// log has escaped.
func (l *Line) Asked(now time.Time) (Asked, bool) {
	var a Asked
	switch {
	case l.Verdict == "allow" || l.Verdict == "error":
		a.Allowed = true
	case l.Verdict != "block":
		return a, false
	case refusals[l.Code]:
	case l.Route != "":
		a.Allowed = true // something else refused it later
	default:
		return a, false
	}
	host, err := route.CanonicalHost(l.Host)
	if err != nil || host != l.Host || l.Port < 1 || l.Port > 65535 || l.Scheme != "http" && l.Scheme != "https" {
		return a, false
	}
	a.Query = route.Query{Scheme: l.Scheme, Host: host, Port: l.Port, Method: l.Method, Now: now}
	if l.Method == "CONNECT" { // a tunnel; see exchange.query of package proxy
		a.Query.Method, a.Query.Path = "GET", "/"
		return a, true
	}
	path, _, _ := strings.Cut(l.Path, "?")
	if strings.Contains(path, `\`) || strings.Contains(l.Method, `\`) || strings.HasSuffix(l.Method, clipped) {
		return a, false
	}
	if len(path) == clippedAt+len(clipped) && strings.HasSuffix(path, clipped) {
		a.Cut = true
		path = path[:strings.LastIndexByte(path, '/')]
		if path == "" {
			path = "/"
		}
	}
	a.Query.Path = path
	return a, true
}

// refusals are the codes by which a table refuses.
var refusals = map[string]bool{
	route.HostNotAllowed: true, route.PathNotAllowed: true, route.MethodNotAllowed: true, route.PortNotAllowed: true,
	route.RouteExpired: true, route.RouteUsedUp: true, route.PathAmbiguous: true,
}
