package route

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"bottle/pkg/strictyaml"
)

// A reporter takes one fault of a route: the field it is in ("" for the route as
// a whole), the item of its list (-1 for the field as a whole), what is wrong,
// and what was wanted.
type reporter func(field string, item int, msg, want string)

// The roles there are, and those that one route of a table may carry.
var (
	roles      = []string{RoleClaudeCodeOAuth}
	singletons = []string{RoleClaudeCodeOAuth}
)

// check checks r by itself. The host must have been through fileHost.
func (r *Route) check(report reporter) {
	r.checkHost(report)
	checkPaths(r.PathAllowlist, report)
	checkMethods(r.Methods, report)
	r.checkPorts(report)
	r.checkAuth(report)
	r.checkRole(report)
	r.checkTLS(report)
	r.checkExpires(report)
	if r.MaxUses < 0 || r.MaxUses > maxUses {
		report("max_uses", -1, fmt.Sprintf("max_uses is %d", r.MaxUses), wantUses)
	}
	if !utf8.ValidString(r.Note) || strings.IndexByte(r.Note, 0) >= 0 {
		report("note", -1, "note is no text", "wanted UTF-8 without NUL")
	}
}

func (r *Route) checkHost(report reporter) {
	host, msg, want := fileHost(r.Host)
	if msg == "" && host != r.Host { // a Unicode name in New
		msg, want = "host "+strictyaml.Quote(r.Host)+" is not in canonical form", "wanted "+strictyaml.Quote(host)
	}
	if msg != "" {
		report("host", -1, msg, want)
		return
	}
	suffix, ok := wildcardSuffix(host)
	if ok && wildcardKind(suffix) == icannSuffix {
		report("host", -1, "host "+strictyaml.Quote(host)+" covers a public suffix", "wanted a domain below "+suffix)
	}
}

func checkPaths(paths []string, report reporter) {
	emptyList("path_allowlist", paths, report)
	for i, p := range paths {
		if msg, want := checkPath(p); msg != "" {
			report("path_allowlist", i, msg, want)
		}
	}
}

// emptyList reports a list that is there and empty: it must never come to mean
// "everything".
func emptyList[T any](field string, list []T, report reporter) {
	if list != nil && len(list) == 0 {
		report(field, -1, field+" is empty", "wanted at least one item, or no "+field+" at all")
	}
}

// checkPath checks a prefix by the rule for requests, so that every prefix can
// match something.
func checkPath(p string) (msg, want string) {
	switch {
	case p == "":
		return "path is empty", `wanted an absolute path, or "/" for every path`
	case p[0] != '/':
		return "path " + strictyaml.Quote(p) + " is not absolute", "wanted a path that begins with /"
	case !ascii(p):
		return "path " + strictyaml.Quote(p) + " is not ASCII", "wanted it percent-encoded, as clients send it"
	}
	if why := ambiguity(p); why != "" {
		return "path " + strictyaml.Quote(p) + " could be read as another path: " + why, "wanted a plain path prefix"
	}
	return "", ""
}

func checkMethods(methods []string, report reporter) {
	emptyList("methods", methods, report)
	for i, m := range methods {
		if msg, want := checkMethod(m); msg != "" {
			report("methods", i, msg, want)
		}
	}
}

// usual are methods that somebody who writes them in lower case means in upper
// case; methods are case-sensitive (RFC 9110 §9.1).
var usual = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}

func checkMethod(m string) (msg, want string) {
	if !token(m) {
		return "method " + strictyaml.Quote(m) + " is no token", "wanted a method such as GET"
	}
	switch up := strings.ToUpper(m); {
	case up == "TRACE" || up == "CONNECT":
		return "method " + m + " is never allowed", "wanted another, or none"
	case up != m && slices.Contains(usual, up):
		return "method " + m + " is in lower case", "wanted " + up
	}
	return "", ""
}

func (r *Route) checkPorts(report reporter) {
	emptyList("ports", r.Ports, report)
	for i, p := range r.Ports {
		if p < 1 || p > 65535 {
			report("ports", i, fmt.Sprintf("port %d", p), "wanted 1-65535")
		}
	}
}

func (r *Route) checkAuth(report reporter) {
	switch {
	case r.AuthHeader != "" && r.TokenEnv == "":
		report("auth_header", -1, "auth_header without token_env", "wanted token_env, or no auth_header")
	case r.AuthHeader == "" && (r.AuthScheme == "") != (r.TokenEnv == ""):
		report("auth_scheme", -1, "half a credential", "auth needs both auth_scheme and token_env, or neither")
	}
	if r.AuthScheme != "" && !token(r.AuthScheme) {
		report("auth_scheme", -1, "auth_scheme "+strictyaml.Quote(r.AuthScheme)+" is no token", "wanted a scheme such as Bearer")
	}
	if r.TokenEnv != "" && !variable(r.TokenEnv) {
		report("token_env", -1, "token_env "+strictyaml.Quote(r.TokenEnv)+" is no name of an environment variable", "wanted letters, digits and _, not beginning with a digit")
	}
	if msg, want := checkAuthHeader(r.AuthHeader); msg != "" {
		report("auth_header", -1, msg, want)
	}
	r.checkAuthUser(report)
}

// reserved are fields that frame or route a message, or belong to one
// connection (RFC 9110 §7.6.1): a credential in them would be lost or break it.
var reserved = []string{"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings",
	"host", "content-length", "content-type", "content-encoding", "expect", "accept-encoding", "max-forwards", "via", "date", "range"}

func checkAuthHeader(h string) (msg, want string) {
	if h == "" {
		return "", ""
	}
	if !token(h) {
		return "auth_header " + strictyaml.Quote(h) + " is no field name", "wanted a header such as x-api-key"
	}
	name := lower(h)
	if slices.Contains(reserved, name) || strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "sec-websocket-") {
		return "auth_header " + h + " cannot carry a credential", "wanted a header such as x-api-key"
	}
	return "", ""
}

func (r *Route) checkAuthUser(report reporter) {
	switch {
	case r.AuthUser == "":
	case lower(asciiOrNone(r.AuthScheme)) != "basic":
		report("auth_user", -1, "auth_user without auth_scheme Basic", "wanted auth_scheme: Basic, or no auth_user")
	case !printable(r.AuthUser) || strings.Contains(r.AuthUser, ":"):
		// RFC 7617 §2: a colon would end the user part.
		report("auth_user", -1, "auth_user "+strictyaml.Quote(r.AuthUser), "wanted printable ASCII without a colon")
	}
}

func (r *Route) checkRole(report reporter) {
	emptyList("role", r.Role, report)
	for i, role := range r.Role {
		switch {
		case !slices.Contains(roles, role):
			report("role", i, "unknown role "+strictyaml.Quote(role), "wanted one of "+strings.Join(roles, ", "))
		case slices.Contains(r.Role[:i], role):
			report("role", i, "role "+role+" is given twice", "wanted it once")
		}
	}
}

func (r *Route) checkTLS(report reporter) {
	switch r.TLS {
	case "", "intercept":
		return
	case Passthrough:
	default:
		report("tls", -1, "tls "+strictyaml.Quote(r.TLS), "wanted intercept or passthrough")
		return
	}
	const want = "wanted tls: intercept; what is not decrypted cannot be checked or given a credential"
	given := []struct {
		field string
		is    bool
	}{
		{"path_allowlist", r.PathAllowlist != nil}, {"methods", r.Methods != nil}, {"auth_scheme", r.AuthScheme != ""},
		{"token_env", r.TokenEnv != ""}, {"auth_header", r.AuthHeader != ""}, {"auth_user", r.AuthUser != ""},
	}
	for _, g := range given {
		if g.is {
			report(g.field, -1, g.field+" on a passthrough route", want)
		}
	}
}

func (r *Route) checkExpires(report reporter) {
	y := r.Expires.Year()
	if !r.Expires.IsZero() && (y < 1970 || y > 9999) {
		report("expires", -1, fmt.Sprintf("expires in the year %d", y), "wanted 1970-9999")
	}
}

// maxUses bounds max_uses: more is no limit that anybody would feel.
const maxUses = 1_000_000_000

var wantUses = fmt.Sprintf("wanted a number from 1 to %d", maxUses)

// checkAll checks what routes have in common. where names the place of a route
// for people.
func checkAll(routes []Route, report func(i int, field string, item int, msg, want string), where func(i int) string) {
	hosts := make(map[string]int32, len(routes))
	carriers := map[string]int{}
	for i := range routes {
		r := &routes[i]
		if first, ok := hosts[r.Host]; ok && r.Host != "" {
			report(i, "host", -1, "host "+strictyaml.Quote(r.Host)+" has a route already ("+where(int(first))+")", "wanted one route per host")
		} else {
			hosts[r.Host] = int32(i)
		}
		for item, role := range r.Role {
			first, ok := carriers[role]
			if ok && first != i && slices.Contains(singletons, role) {
				report(i, "role", item, "role "+role+" is carried already ("+where(first)+")", "wanted it on one route")
			} else if !ok {
				carriers[role] = i
			}
		}
	}
}

// checkValues checks routes that come from no file.
func checkValues(routes []Route) strictyaml.Faults {
	var fs strictyaml.Faults
	add := func(i int, msg, want string) {
		fs = append(fs, strictyaml.Fault{File: routeName(i), Msg: msg, Want: want})
	}
	if len(routes) > MaxRoutes {
		add(MaxRoutes, tooMany(len(routes)), wantFewer)
		return fs
	}
	for i := range routes {
		routes[i].check(func(_ string, _ int, msg, want string) { add(i, msg, want) })
	}
	checkAll(routes, func(i int, _ string, _ int, msg, want string) { add(i, msg, want) }, routeName)
	return fs
}

func tooMany(n int) string { return fmt.Sprintf("%d routes", n) }

var wantFewer = fmt.Sprintf("wanted at most %d", MaxRoutes)

func routeName(i int) string { return "route " + strconv.Itoa(i+1) }

// warn is what is valid in r but rarely meant.
func warn(r *Route) []strictyaml.Fault {
	var ws []strictyaml.Fault
	add := func(msg, want string) {
		ws = append(ws, strictyaml.Fault{Msg: msg, Want: want})
	}
	if suffix, ok := wildcardSuffix(r.Host); ok && wildcardKind(suffix) == privateSuffix {
		add("host "+strictyaml.Quote(r.Host)+" covers every customer of "+suffix, "a single name below it is safer")
	}
	if slices.Contains(r.Role, RoleClaudeCodeOAuth) && r.TokenEnv == "" {
		add("role "+RoleClaudeCodeOAuth+" on a route without a credential", "the placeholder would be sent as it is")
	}
	return ws
}

// token tells whether s is a token (RFC 9110 §5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// variable tells whether s names an environment variable (POSIX.1 §8.1). The
// name is also a file's in the token folder, so nothing else may be in it.
func variable(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}

func asciiOrNone(s string) string {
	if ascii(s) {
		return s
	}
	return ""
}

// rfc3339 is the form of a time (RFC 3339 §5.6). time.Parse alone lets pass
// "1:00", a comma, and offsets of 99 hours.
var rfc3339 = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
})

// parseTime reads an RFC 3339 time and returns it in UTC.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.IsZero() || !rfc3339().MatchString(s) {
		return time.Time{}, false
	}
	return t.UTC(), true
}
