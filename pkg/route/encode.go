package route

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Encode is the canonical YAML of t: Parse of it gives the same table, and equal
// tables have equal encodings. The order of routes and of their lists is kept.
func (t *Table) Encode() []byte {
	if len(t.Routes) == 0 {
		return []byte("routes: []\n")
	}
	b := make([]byte, 0, 64*len(t.Routes))
	b = append(b, "routes:\n"...)
	for i := range t.Routes {
		b = t.Routes[i].append(b)
	}
	return b
}

// Digest is the SHA-256 of the canonical encoding in lower-case hexadecimal.
// Comments, the order of keys and the style of the file do not change it.
func (t *Table) Digest() string {
	sum := sha256.Sum256(t.Encode())
	return hex.EncodeToString(sum[:])
}

// append writes r with its keys in the order of fields.
func (r *Route) append(b []byte) []byte {
	b = append(b, "  - host: "...)
	b = append(appendScalar(b, r.Host), '\n')
	b = appendList(b, "path_allowlist", r.PathAllowlist)
	b = appendList(b, "methods", r.Methods)
	if r.Ports != nil {
		b = append(b, "    ports: ["...)
		for i, p := range r.Ports {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = strconv.AppendInt(b, int64(p), 10)
		}
		b = append(b, "]\n"...)
	}
	b = appendField(b, "auth_scheme", r.AuthScheme)
	b = appendField(b, "token_env", r.TokenEnv)
	b = appendField(b, "auth_header", r.AuthHeader)
	b = appendField(b, "auth_user", r.AuthUser)
	b = appendList(b, "role", r.Role)
	b = appendField(b, "tls", r.TLS)
	if !r.Expires.IsZero() {
		b = appendField(b, "expires", r.Expires.UTC().Format(time.RFC3339Nano))
	}
	if r.MaxUses != 0 {
		b = append(strconv.AppendInt(append(b, "    max_uses: "...), int64(r.MaxUses), 10), '\n')
	}
	return appendField(b, "note", r.Note)
}

func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, "    "...), key...), ": "...)
	return append(appendScalar(b, value), '\n')
}

func appendList(b []byte, key string, list []string) []byte {
	if list == nil {
		return b
	}
	b = append(append(append(b, "    "...), key...), ":\n"...)
	for _, s := range list {
		b = append(b, "      - "...)
		b = append(appendScalar(b, s), '\n')
	}
	return b
}

// appendScalar writes s plain where every YAML reader takes it for that string,
// else in double quotes.
func appendScalar(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case unicode.IsPrint(r):
			b = append(b, string(r)...)
		default:
			b = fmt.Appendf(b, `\U%08X`, r)
		}
	}
	return append(b, '"')
}

// plain tells whether s is a string without quotes in every version of YAML. It
// says no where it is not sure.
func plain(s string) bool {
	if s == "" || !(s[0] == '/' || 'a' <= s[0] && s[0] <= 'z' || 'A' <= s[0] && s[0] <= 'Z') {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_./", c) >= 0) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return false
	}
	return true
}
