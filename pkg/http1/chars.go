package http1

import "strings"

// The classes of bytes, as bits of class.
const (
	tchar  = 1 << iota // RFC 9110 §5.6.2
	vtext              // may stand in a field value: HTAB, SP, VCHAR, obs-text
	target             // may stand in a request target: VCHAR
	digit
	hexdig
)

var class = classes()

func classes() (t [256]uint8) {
	for c := 0; c < 256; c++ {
		b := byte(c)
		alnum := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		if alnum || b != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0 {
			t[c] |= tchar
		}
		if b == '\t' || b >= ' ' && b != 0x7f {
			t[c] |= vtext
		}
		if b > ' ' && b < 0x7f {
			t[c] |= target
		}
		if b >= '0' && b <= '9' {
			t[c] |= digit | hexdig
		}
		if b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F' {
			t[c] |= hexdig
		}
	}
	return t
}

// all reports whether every byte of s is of the class.
func all(s string, of uint8) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&of == 0 {
			return false
		}
	}
	return true
}

// ValidToken reports whether s is a token (RFC 9110 §5.6.2), as methods and
// field names are.
func ValidToken(s string) bool { return s != "" && all(s, tchar) }

// ValidFieldValue reports whether s may be a field's value: HTAB, SP, visible
// ASCII and opaque bytes 0x80-0xff (RFC 9110 §5.5), without white space at
// either end. The empty value is valid.
func ValidFieldValue(s string) bool { return all(s, vtext) && len(trimOWS(s)) == len(s) }

// ValidTarget reports whether s is made of the bytes a request target may hold:
// one or more of visible ASCII. Which of the four forms it has (RFC 9112 §3.2)
// is for the caller to see.
func ValidTarget(s string) bool { return s != "" && all(s, target) }

// trimOWS removes SP and HTAB from both ends (RFC 9110 §5.6.3).
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// equalFold compares without ASCII case. strings.EqualFold would also take the
// Kelvin sign for k and the long s for s.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hasList reports whether the comma-separated list (RFC 9110 §5.6.1) holds
// member, without ASCII case.
func hasList(list, member string) bool {
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		if equalFold(trimOWS(item), member) {
			return true
		}
	}
	return false
}
