package route

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// NewQuery is the query that a request with this method for this URL makes at
// the time now. The URL is http or https and absolute; its path goes into the
// query as it stands, since a client might send it so. Query and fragment are
// left off.
func NewQuery(method, url string, now time.Time) (Query, error) {
	q := Query{Method: method, Now: now}
	scheme, rest, ok := strings.Cut(url, "://")
	q.Scheme = strings.ToLower(scheme)
	if !ok || q.Scheme != "http" && q.Scheme != "https" {
		return Query{}, errors.New("no http or https URL; wanted one such as https://api.example.com/v1")
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path := rest, "/"
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	q.Path = path
	host, port, err := splitAuthority(authority, q.Scheme)
	if err != nil {
		return Query{}, err
	}
	q.Port = port
	q.Host, err = CanonicalHost(host)
	return q, err
}

// splitAuthority splits "host", "host:port" and "[v6]:port" (RFC 3986 §3.2).
func splitAuthority(s, scheme string) (host string, port int, err error) {
	port = 443
	if scheme == "http" {
		port = 80
	}
	if strings.Contains(s, "@") {
		return "", 0, errors.New("the URL has a user part; wanted none")
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(s, "]") {
		inner = strings.TrimSuffix(inner, "]")
		if !strings.Contains(inner, ":") {
			return "", 0, errors.New("the host has brackets; wanted them around IPv6 only")
		}
		return inner, port, nil
	}
	if !strings.Contains(s, ":") {
		return s, port, nil
	}
	host, digits, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("the URL's host and port cannot be told apart; wanted host:port, IPv6 in brackets")
	}
	if s[0] == '[' && !strings.Contains(host, ":") {
		return "", 0, errors.New("the host has brackets; wanted them around IPv6 only")
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 || strings.Trim(digits, "0123456789") != "" {
		return "", 0, fmt.Errorf("port %q; wanted 1-65535", digits)
	}
	return host, port, nil
}
