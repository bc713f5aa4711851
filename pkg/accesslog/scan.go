package accesslog

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// A scanner reads lines as egress-proxy spells them: one object of strings and
// numbers, without blanks. It gives anything else to encoding/json, so that both
// read every line alike (a fuzz test holds them together), at a tenth of the cost.
type scanner struct {
	words map[string]string // one copy of what comes again and again
}

// maxWords bounds words: an agent may make up hosts.
const maxWords = 10_000

// line reads text into l, which is zero. It is false for what is no line of an
// access log.
func (s *scanner) line(text []byte, l *Line) bool {
	if !s.plain(text, l) {
		*l = Line{}
		if json.Unmarshal(text, l) != nil {
			return false
		}
	}
	return l.Verdict != "" && l.Time != ""
}

// plain is line for the usual spelling; false is "not sure".
func (s *scanner) plain(text []byte, l *Line) bool {
	if len(text) < 2 || text[0] != '{' || text[len(text)-1] != '}' {
		return false
	}
	rest := text[1 : len(text)-1]
	for {
		key, after, ok := quoted(rest)
		if !ok || len(after) == 0 || after[0] != ':' {
			return false
		}
		rest = after[1:]
		if len(rest) > 0 && rest[0] == '"' {
			var value []byte
			if value, rest, ok = quoted(rest); !ok || !s.text(l, string(key), value) {
				return false
			}
		} else {
			end := bytes.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			if !number(l, string(key), rest[:end]) {
				return false
			}
			rest = rest[end:]
		}
		if len(rest) == 0 {
			return true
		}
		if rest[0] != ',' {
			return false
		}
		rest = rest[1:]
	}
}

// quoted is the string that s begins with. One with escapes, as & has in the log,
// costs more.
func quoted(s []byte) (value, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return nil, nil, false
	}
	escaped := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' && escaped:
			var text string
			err := json.Unmarshal(s[:i+1], &text)
			return []byte(text), s[i+1:], err == nil
		case c == '"':
			return s[1:i], s[i+1:], true
		case c == '\\':
			escaped = true
			i++
		case c < ' ' || c > '~':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// text sets a field that is a string. It is false for a key that is not known to
// be one, in whatever case: encoding/json would take it for a field.
func (s *scanner) text(l *Line, key string, value []byte) bool {
	switch key {
	case "time":
		l.Time = string(value)
	case "path":
		l.Path = string(value)
	case "method":
		l.Method = s.word(value)
	case "scheme":
		l.Scheme = s.word(value)
	case "host":
		l.Host = s.word(value)
	case "route":
		l.Route = s.word(value)
	case "verdict":
		l.Verdict = s.word(value)
	case "code":
		l.Code = s.word(value)
	case "reason":
		l.Reason = string(value)
	case "error":
		l.Error = s.word(value)
	case "bottle", "id", "agent_proto", "upstream_proto":
	default:
		return false
	}
	return true
}

// word is value as a string, of which there is one copy.
func (s *scanner) word(value []byte) string {
	w, ok := s.words[string(value)]
	if !ok {
		w = string(value)
		if len(s.words) < maxWords {
			s.words[w] = w
		}
	}
	return w
}

// number sets a field that is a number, as text does.
func number(l *Line, key string, value []byte) bool {
	switch key {
	case "port":
		return whole(value, &l.Port)
	case "status":
		return whole(value, &l.Status)
	case "sent":
		return whole(value, &l.Sent)
	case "received":
		return whole(value, &l.Received)
	case "ms":
		return fraction(value, &l.Ms)
	case "first_ms":
		return fraction(value, &l.FirstMs)
	}
	return false
}

// whole reads digits without a sign or a leading zero.
func whole[T int | int64](value []byte, to *T) bool {
	if len(value) == 0 || len(value) > 18 || value[0] == '0' && len(value) > 1 {
		return false
	}
	var n T
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + T(c-'0')
	}
	*to = n
	return true
}

// fraction reads digits, and perhaps a point and more of them.
func fraction(value []byte, to *float64) bool {
	head, tail, point := bytes.Cut(value, []byte("."))
	var n int64
	if !whole(head, &n) || point && (len(tail) == 0 || len(bytes.Trim(tail, "0123456789")) > 0) {
		return false
	}
	f, err := strconv.ParseFloat(string(value), 64)
	*to = f
	return err == nil
}
