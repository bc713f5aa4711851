package scripttest

import (
	"errors"
	"strings"
)

// split cuts a line into words: see the package comment for quotes, variables
// and comments.
func split(line string, getenv func(string) string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		word, rest, err := cutWord(line, getenv)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// cutWord takes the first word off a line that does not begin with a blank.
func cutWord(line string, getenv func(string) string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\t' || c == '\r':
			return b.String(), line[i:], nil
		case c == '\'':
			n, err := quoted(&b, line[i:])
			if err != nil {
				return "", "", err
			}
			i += n
		case c == '$':
			name, n := variable(line[i:])
			if n == 0 { // a lone $, as at the end of a regular expression
				b.WriteByte(c)
				i++
				continue
			}
			b.WriteString(getenv(name))
			i += n
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String(), "", nil
}

// quoted appends the content of the '…' that s begins with, and returns its
// length in s.
func quoted(b *strings.Builder, s string) (int, error) {
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return i + 1, nil
	}
	return 0, errors.New("a quote is open at the end of the line")
}

// variable is the name in the $NAME or ${NAME} that s begins with, and the
// length of it all; 0 when there is none.
func variable(s string) (name string, n int) {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 2 {
			return s[2:end], end + 1
		}
		return "", 0
	}
	n = 1
	for n < len(s) && (s[n] == '_' || '0' <= s[n] && s[n] <= '9' || 'A' <= s[n]&^0x20 && s[n]&^0x20 <= 'Z') {
		n++
	}
	if n == 1 {
		return "", 0
	}
	return s[1:n], n
}
