package route

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/strictyaml"
)

// Why a request is refused: the codes of Decision, which are stable.
const (
	HostNotAllowed   = "host-not-allowed"
	PathNotAllowed   = "path-not-allowed"
	MethodNotAllowed = "method-not-allowed"
	PortNotAllowed   = "port-not-allowed"
	RouteExpired     = "route-expired"
	PathAmbiguous    = "path-ambiguous"
)

// A Query is what is asked of a table.
type Query struct {
	Scheme string // "http" or "https"
	Host   string // as CanonicalHost returns it
	Port   int
	Method string
	Path   string // of the target as sent, without the query
	Now    time.Time
}

// A Decision is the answer to a Query.
type Decision struct {
	Allow   bool
	Code    string // "" when allowed
	Reason  string // one sentence for people, "" when allowed
	Route   *Route // the route that decided, nil when no route names the host
	Nearest *Route // the route that may have been meant, when Route is nil
}

// Match decides about q. An exact route beats a wildcard, a longer wildcard a
// shorter one, whatever their order, and the route so found decides alone: when
// it has expired, a wider one does not step in, lest the end of a narrow route
// widen what may be reached. The cost does not grow with the number of routes,
// and nothing is allocated when the answer is yes and the path has no escapes.
func (t *Table) Match(q Query) Decision {
	r := t.Lookup(q.Host)
	if r == nil {
		return Decision{
			Code:    HostNotAllowed,
			Reason:  "host " + show(q.Host) + " is not in the bottle's egress_proxy.routes allowlist",
			Nearest: t.Nearest(q.Host),
		}
	}
	code, reason := r.refuses(&q)
	return Decision{Allow: code == "", Code: code, Reason: reason, Route: r}
}

// refuses is the code and the reason why r does not allow q, "" when it does.
func (r *Route) refuses(q *Query) (code, reason string) {
	switch {
	case r.Expired(q.Now):
		return RouteExpired, "route " + show(r.Host) + " expired at " + r.Expires.Format(time.RFC3339)
	case !r.allowsPort(q.Scheme, q.Port):
		return PortNotAllowed, fmt.Sprintf("port %d for %s is not allowed by route %s", q.Port, q.Scheme, show(r.Host))
	case !r.allowsMethod(q.Method):
		return MethodNotAllowed, "method " + show(q.Method) + " is not allowed by route " + show(r.Host)
	case r.PathAllowlist == nil:
		return "", ""
	}
	if why := ambiguity(q.Path); why != "" {
		return PathAmbiguous, "path " + show(q.Path) + " could be read as another path: " + why
	}
	for _, prefix := range r.PathAllowlist {
		if covers(prefix, q.Path) {
			return "", ""
		}
	}
	return PathNotAllowed, "path " + show(q.Path) + " is not in the path_allowlist of route " + show(r.Host)
}

// End is when a route ends that is to hold for d from now: on a whole second, as
// routes.yaml spells times, and not before d is over.
func End(now time.Time, d time.Duration) time.Time {
	return now.Add(d + time.Second - 1).UTC().Truncate(time.Second)
}

// Expired tells whether r has ended at the time now.
func (r *Route) Expired(now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

func (r *Route) allowsPort(scheme string, port int) bool {
	switch {
	case r.Ports != nil:
		return slices.Contains(r.Ports, port)
	case scheme == "http":
		return port == 80
	case scheme == "https":
		return port == 443
	}
	return false
}

func (r *Route) allowsMethod(method string) bool {
	if r.Methods != nil {
		return slices.Contains(r.Methods, method) // never TRACE or CONNECT
	}
	return method != "" && method != "TRACE" && method != "CONNECT"
}

// show is s in single quotes for a sentence; what could confuse a reader or a
// terminal is escaped, what is long is cut.
func show(s string) string {
	if len(s) <= 64 && plain(s) { // the usual host; Quote takes longer
		return "'" + s + "'"
	}
	q := strictyaml.Quote(s)
	if strings.HasPrefix(q, `"`+s+`"`) && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	return q
}
