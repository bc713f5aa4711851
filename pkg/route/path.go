package route

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// decodings is how often a path is decoded in search of another reading: servers
// behind servers decode more than once, none decodes more than twice in practice.
const decodings = 4

// lookalikes are characters that best-fit or NFKC conversion turns into '.',
// '/', '\', ';' or '%'. The yen and won signs are '\' in Windows' code pages 932
// and 949.
const lookalikes = "\uFF0E\uFF0F\uFF3C\uFF1B\uFF05\u2024\u2025\u2026\u2044\u2215\u29F8\u2216\u29F5" +
	"\uFE14\uFE19\uFE30\uFE52\uFE54\uFE68\uFE6A\u037E\u066A\u00A5\uFFE5\u20A9\uFFE6"

// ambiguity says why some common server could read path as another one, ""
// when none could (SECURITY: "Path allowlist"). path is the target as sent,
// without its query. Refused are: anything that does not begin with '/'; dot
// segments, empty segments, ';', '\', '#', '?', control bytes and spaces; the
// same after percent-decoding, also decoded again; encoded slashes; escapes
// that are none; bytes that decode to no UTF-8.
func ambiguity(path string) string {
	if path == "" || path[0] != '/' {
		return "it does not begin with '/'"
	}
	escaped := false
	for i := range len(path) {
		c := path[i]
		switch {
		case c <= ' ' || c == 0x7F:
			return "it contains a control byte or a space"
		case c == '?' || c == '#':
			return "it contains '" + string(c) + "'"
		case c == '%' || c >= 0x80:
			escaped = true
		}
	}
	if reason := segments(path); reason != "" || !escaped {
		return reason
	}
	return decoded(path)
}

// segments reports separators that servers disagree about, and dot and empty segments.
func segments(path string) string {
	start := 1
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if path[i] == '\\' || path[i] == ';' {
				return "it contains '" + path[i:i+1] + "'"
			}
			continue
		}
		seg := path[start:i]
		if seg == "" && i < len(path) {
			return "it contains an empty segment"
		}
		// Windows drops dots and spaces at the end of a name.
		if seg != "" && strings.Trim(seg, ". ") == "" {
			return "it contains a dot segment"
		}
		start = i + 1
	}
	return ""
}

// decoded reports what percent-decoding brings out.
func decoded(path string) string {
	level := path
	for range decodings {
		slashes := strings.Count(level, "/")
		next, ok := unescape(level, level == path)
		if !ok {
			return "it contains an escape that is none"
		}
		if !utf8.ValidString(next) {
			return "it decodes to bytes that are not UTF-8"
		}
		if strings.IndexFunc(next, unicode.IsControl) >= 0 {
			return "it contains an encoded control byte"
		}
		if strings.Count(next, "/") != slashes {
			return "it contains an encoded slash"
		}
		if strings.ContainsAny(next, lookalikes) {
			return "it contains a character that looks like a separator"
		}
		if reason := segments(next); reason != "" {
			return reason + " when decoded"
		}
		if next == level {
			return ""
		}
		level = next
	}
	return "it is encoded over and over"
}

// unescape decodes every %XX of s once. What is no escape is an error when
// strict, as is %uXXXX always; else it stays, since decoding a second time is
// what only a broken server does.
func unescape(s string, strict bool) (string, bool) {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0 {
			b = append(b, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
			continue
		}
		if strict || i+1 < len(s) && (s[i+1] == 'u' || s[i+1] == 'U') {
			return "", false
		}
		b = append(b, '%')
	}
	return string(b), true
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// covers tells whether the prefix allows path: the prefix itself, and what
// follows it after a '/'. It compares bytes; case matters.
func covers(prefix, path string) bool {
	if !strings.HasPrefix(path, prefix) {
		return false
	}
	return len(path) == len(prefix) || prefix[len(prefix)-1] == '/' || path[len(prefix)] == '/'
}
