package route

import (
	"fmt"
	"slices"
	"strconv"
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
	RouteUsedUp      = "route-used-up"
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
	// Uses is what routes with MaxUses have let through so far, by their Host;
	// nil is nothing. The proxy asks without it and counts when the answer is yes.
	Uses map[string]int64
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
		return r.refusesUse(q)
	}
	if why := ambiguity(q.Path); why != "" {
		return PathAmbiguous, "path " + show(q.Path) + " could be read as another path: " + why
	}
	for _, prefix := range r.PathAllowlist {
		if covers(prefix, q.Path) {
			return r.refusesUse(q)
		}
	}
	return PathNotAllowed, "path " + show(q.Path) + " is not in the path_allowlist of route " + show(r.Host)
}

// refusesUse comes last: only what r would let through can use it up.
func (r *Route) refusesUse(q *Query) (code, reason string) {
	if r.MaxUses > 0 && q.Uses[r.Host] >= int64(r.MaxUses) {
		return RouteUsedUp, r.usedUp()
	}
	return "", ""
}

// UsedUp is the decision that r, which allows a request but for its MaxUses, has
// been used as often as it may be.
func (r *Route) UsedUp() Decision {
	return Decision{Code: RouteUsedUp, Reason: r.usedUp(), Route: r}
}

func (r *Route) usedUp() string {
	return fmt.Sprintf("route %s is used up: it was granted for %s", show(r.Host), times(r.MaxUses))
}

// times is n uses in words.
func times(n int) string {
	if n == 1 {
		return "1 use"
	}
	return strconv.Itoa(n) + " uses"
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

// FirstEnd is when the first route of t expires that has not by now; nil when none
// does.
func (t *Table) FirstEnd(now time.Time) *time.Time {
	var first *time.Time
	for i := range t.Routes {
		if r := &t.Routes[i]; !r.Expires.IsZero() && !r.Expired(now) && (first == nil || r.Expires.Before(*first)) {
			first = &r.Expires
		}
	}
	if first == nil {
		return nil
	}
	at := *first // and not a place in the table, which would stay for it
	return &at
}

// Ended tells whether r has expired at the time now, or is used up after uses, as
// Query has them.
func (r *Route) Ended(now time.Time, uses map[string]int64) bool {
	return r.Expired(now) || r.MaxUses > 0 && uses[r.Host] >= int64(r.MaxUses)
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
