package proxy

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"bottle/pkg/route"
)

// target is the one destination of a request (SECURITY: "One identity per
// request"). The host is canonical; the same string is matched, resolved, put
// into the SNI, verified and sent as Host.
type target struct {
	scheme string // "http" or "https"; "" while a CONNECT's is not known
	host   string
	port   int
	name   string // what authority returns, once the scheme is known; may be ""
	path   string // what is matched: the request target without its query
	raw    string // what is sent: the request target in origin form, byte for byte
}

// addr is host:port for dialling and for CONNECT; IPv6 in brackets.
func (t target) addr() string { return net.JoinHostPort(t.host, strconv.Itoa(t.port)) }

// authority is the Host field: without the port where it is the scheme's own
// (RFC 9110 §7.2).
func (t target) authority() string {
	if t.name != "" {
		return t.name
	}
	if t.port == defaultPort(t.scheme) {
		if strings.Contains(t.host, ":") {
			return "[" + t.host + "]"
		}
		return t.host
	}
	return t.addr()
}

func defaultPort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
}

var errNoPort = errors.New("no port; wanted HOST:PORT")

// parseAuthority reads HOST[:PORT] as a request spells it. Without a port it is
// def; def 0 demands one. Userinfo, percent-encoding and anything else that
// CanonicalHost does not know is an error.
func parseAuthority(s string, def int) (host string, port int, err error) {
	name, digits, hasPort := s, "", false
	switch i := strings.LastIndexByte(s, ':'); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 || !strings.Contains(s[:end], ":") {
			return "", 0, fmt.Errorf("%q is no host; wanted a name, or an IPv6 address in brackets", clip(s))
		}
		name = s[1:end]
		digits, hasPort = strings.CutPrefix(s[end+1:], ":")
		if !hasPort && s[end+1:] != "" {
			return "", 0, fmt.Errorf("%q is no HOST:PORT", clip(s))
		}
	case i >= 0:
		name, digits, hasPort = s[:i], s[i+1:], true
		if strings.Contains(name, ":") {
			return "", 0, fmt.Errorf("%q is no HOST:PORT; wanted brackets around an IPv6 address", clip(s))
		}
	}
	if host, err = route.CanonicalHost(name); err != nil {
		return "", 0, err
	}
	if !hasPort {
		if def == 0 {
			return "", 0, errNoPort
		}
		return host, def, nil
	}
	port, err = parsePort(digits)
	return host, port, err
}

// parsePort reads a decimal port without sign, space or leading zero.
func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '0' || s[0] == '+' {
		return 0, fmt.Errorf("%q is no port; wanted 1 to 65535", clip(s))
	}
	return int(n), nil
}

// splitAbsolute takes a request target in absolute form apart. rest is the
// path and query, never empty (RFC 9112 §3.2.1: an empty path is sent as "/").
func splitAbsolute(s string) (scheme, authority, rest string, ok bool) {
	scheme, after, ok := strings.Cut(s, "://")
	if !ok {
		return "", "", "", false
	}
	i := strings.IndexAny(after, "/?#")
	if i < 0 {
		i = len(after)
	}
	authority, rest = after[:i], after[i:]
	if rest == "" || rest[0] != '/' {
		rest = "/" + rest
	}
	return lower(scheme), authority, rest, authority != ""
}

// lower is ASCII lower case; nothing else is mapped.
func lower(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return 'A' <= r && r <= 'Z' }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// withTarget adds the path of a request target in origin or absolute form to
// the destination. An absolute form must name that very destination.
func (t target) withTarget(method, raw string) (target, error) {
	switch {
	case strings.HasPrefix(raw, "/"):
	case raw == "*" && method == "OPTIONS":
	default:
		scheme, authority, rest, ok := splitAbsolute(raw)
		if !ok {
			return t, fmt.Errorf("the request target %q is neither a path nor a URL", clip(raw))
		}
		host, port, err := parseAuthority(authority, defaultPort(scheme))
		if err != nil {
			return t, err
		}
		if scheme != t.scheme || host != t.host || port != t.port {
			return t, fmt.Errorf("the request target names %s://%s; the connection is to %s://%s", scheme, clip(authority), t.scheme, t.authority())
		}
		raw = rest
	}
	t.raw = raw
	t.path, _, _ = strings.Cut(raw, "?")
	return t, nil
}

// agrees checks that a Host or :authority names the destination.
func (t target) agrees(what, value string) error {
	if t.name != "" && value == t.name {
		return nil
	}
	host, port, err := parseAuthority(value, defaultPort(t.scheme))
	if err != nil {
		return fmt.Errorf("%s: %v", what, err)
	}
	if host != t.host || port != t.port {
		return fmt.Errorf("%s names %q; the connection is to %s", what, clip(value), t.addr())
	}
	return nil
}

// clip bounds what a stranger wrote for use in a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// sameField compares the names of two fields without ASCII case. "_" is taken
// for "-": origins behind CGI variables do not tell them apart (RFC 3875
// §4.1.18).
func sameField(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if plain(a[i]) != plain(b[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case c == '_':
		return '-'
	}
	return c
}
