package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"bottle/pkg/strictyaml"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Limits of a host name, in bytes (RFC 1035 §2.3.4).
const (
	nameMax  = 253
	labelMax = 63
)

// CanonicalHost is the canonical form of the host that a request names: a name
// of ASCII letters, digits, '-', '_' and '.', in lower case and without its one
// trailing dot, or an address as netip spells it. IPv6 stands without brackets.
// Refused is everything else: other bytes (nothing is mapped; a request has no
// Unicode name), empty or over-long labels, and what some resolver would read
// as an address though it is not written as one (127.1, 0x7f.1, 2130706433,
// 010.0.0.1), zones, and IPv4 mapped into IPv6.
func CanonicalHost(s string) (string, error) {
	if strings.Contains(s, ":") {
		return canonicalIPv6(s)
	}
	s = strings.TrimSuffix(s, ".")
	if err := checkName(s, true); err != nil {
		return "", err
	}
	if endsInNumber(s) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return "", errors.New("host is no address in dotted decimal")
		}
		return a.String(), nil
	}
	return lower(s), nil
}

func canonicalIPv6(s string) (string, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return "", errors.New("host is neither a name nor an address")
	case a.Zone() != "":
		return "", errors.New("host is an address with a zone")
	case a.Is4In6():
		return "", errors.New("host is an IPv4 address written as IPv6")
	}
	return a.String(), nil
}

// checkName checks bytes and lengths of a name without a trailing dot.
func checkName(s string, upper bool) error {
	if s == "" {
		return errors.New("host is empty")
	}
	if len(s) > nameMax {
		return fmt.Errorf("host is longer than %d bytes", nameMax)
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !nameByte(s[i], upper) {
				return fmt.Errorf("host contains %q", s[i:i+1])
			}
			continue
		}
		if n := i - start; n == 0 {
			return errors.New("host has an empty label")
		} else if n > labelMax {
			return fmt.Errorf("host has a label longer than %d bytes", labelMax)
		}
		start = i + 1
	}
	return nil
}

func nameByte(c byte, upper bool) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || upper && 'A' <= c && c <= 'Z'
}

// lower is s with A-Z in lower case and no other byte changed. It does not
// allocate when there is nothing to change.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return strings.ToLower(s) // s is ASCII here
		}
	}
	return s
}

// endsInNumber tells whether the last label makes resolvers read the name as
// an IPv4 address: decimal, octal or hexadecimal digits (WHATWG URL, "ends in a
// number checker"; inet_aton(3)).
func endsInNumber(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	if len(last) >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X') {
		return strings.Trim(last[2:], "0123456789abcdefABCDEF") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// isAddress tells an address from a name; host is in canonical form.
func isAddress(host string) bool {
	return strings.IndexByte(host, ':') >= 0 || endsInNumber(host)
}

// parent is host without its first label, "" when there is no more.
func parent(host string) string {
	i := strings.IndexByte(host, '.')
	if i < 0 {
		return ""
	}
	return host[i+1:]
}

// wildcardSuffix is what follows "*." in the host of a route.
func wildcardSuffix(host string) (string, bool) { return strings.CutPrefix(host, "*.") }

// registrable is the domain one would register for host, "" for an address or a
// public suffix.
func registrable(host string) string {
	name, _ := wildcardSuffix(host)
	if name == "" || isAddress(name) {
		return ""
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return ""
	}
	return d
}

// files is UTS 46 as a lookup uses it, for names in files: mapped to lower case
// and NFC, checked against STD3, hyphens, joiners and the Bidi rule,
// non-transitional.
var files = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(true),
	idna.CheckJoiners(true), idna.StrictDomainName(true), idna.Transitional(false), idna.ValidateLabels(true))

// fileHost is the canonical form of a host as a file spells it, wildcards
// included. A name in Unicode is converted; an ASCII one must be canonical
// already. The error says what is wrong and want what was wanted.
func fileHost(s string) (host, msg, want string) {
	if msg, want := foreign(s); msg != "" {
		return "", msg, want
	}
	star, name := "", s
	if rest, ok := wildcardSuffix(s); ok {
		star, name = "*.", rest
	}
	if strings.Contains(name, "*") {
		return "", "host " + strictyaml.Quote(s) + " has a wildcard in the wrong place", `wanted an exact name, or one leading "*." as in *.example.com`
	}
	plain := ascii(name)
	if !plain {
		converted, err := files.ToASCII(name)
		if err != nil {
			return "", "host " + strictyaml.Quote(s) + " is no domain name", "wanted a name that IDNA (UTS 46) can convert"
		}
		name = converted
	}
	canonical, err := CanonicalHost(name)
	if err != nil {
		return "", strings.Replace(err.Error(), "host", "host "+strictyaml.Quote(s), 1), hostWant(s)
	}
	if isAddress(canonical) && (star != "" || !plain) {
		return "", "host " + strictyaml.Quote(s) + " is an address", "wanted " + canonical + " itself, or a name"
	}
	if canonical != name {
		return "", "host " + strictyaml.Quote(s) + " is not in canonical form", "wanted " + strictyaml.Quote(star+canonical)
	}
	return star + canonical, "", ""
}

const hostAlone = "wanted the host alone, as in api.example.com"

// foreign reports what people write around a host: a scheme, path, port,
// brackets, user.
func foreign(s string) (msg, want string) {
	switch {
	case s == "":
		return "host is empty", hostAlone
	case s == "*":
		return `host "*" would be every host`, `wanted a name, or "*." with a domain after it`
	case !strings.ContainsAny(s, ":/?#@[]"):
		return "", ""
	}
	quoted := "host " + strictyaml.Quote(s)
	switch {
	case strings.Contains(s, "://"):
		return quoted + " has a scheme", hostAlone
	case strings.ContainsAny(s, "/?#"):
		return quoted + " has a path", hostAlone + "; paths go into path_allowlist"
	case strings.Contains(s, "@"):
		return quoted + " has a user part", hostAlone
	case strings.ContainsAny(s, "[]"):
		return quoted + " has brackets", "wanted an IPv6 address without them; ports go into ports"
	case strings.Count(s, ":") == 1:
		return quoted + " has a port", hostAlone + "; ports go into ports"
	}
	return "", ""
}

func hostWant(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return "wanted " + a.Unmap().WithZone("").String()
	}
	if name := strings.TrimPrefix(s, "*."); ascii(name) && name != "" && endsInNumber(name) {
		return "wanted an address such as 10.0.0.1, or a name that does not end in a number"
	}
	return "wanted letters, digits, '-', '_' and '.', labels of 1-63 bytes, at most 253 in all; or an address"
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// suffixKind is what the public suffix list says of the domain of a wildcard.
type suffixKind int

const (
	noSuffix      suffixKind = iota
	icannSuffix              // *.com: every customer of a registry
	privateSuffix            // *.github.io: every customer of one service
)

// wildcardKind asks about "*."+domain. A domain just above suffixes (ck, of
// which the list has *.ck) counts as one.
func wildcardKind(domain string) suffixKind {
	for _, name := range []string{domain, "x." + domain} {
		suffix, icann := publicsuffix.PublicSuffix(name)
		if suffix != name {
			continue
		}
		if icann {
			return icannSuffix
		}
		if strings.Contains(suffix, ".") {
			return privateSuffix
		}
	}
	return noSuffix
}
