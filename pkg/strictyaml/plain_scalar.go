package strictyaml

import (
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// name reads a key of letters and '_'.
func (r *plain) name() *yaml.Node {
	n := r.node(yaml.ScalarNode, "!!str")
	from := r.at
	for nameByte(r.peek()) {
		r.at++
	}
	n.Value = r.text(from)
	if n.Value == "" || len(n.Value) > nameMax || reserved(n.Value) {
		return nil
	}
	return n
}

func nameByte(c byte) bool { return 'a' <= c && c <= 'z' || c == '_' }

// scalar reads a text, a number or a time.
func (r *plain) scalar() *yaml.Node {
	switch c := r.peek(); {
	case c == '"' || c == '\'':
		return r.quoted()
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '/':
		return r.word()
	case '1' <= c && c <= '9':
		return r.digits()
	}
	return nil
}

// quoted reads a text in quotes on one line, without escapes.
func (r *plain) quoted() *yaml.Node {
	n := r.node(yaml.ScalarNode, "!!str")
	quote := r.peek()
	n.Style = yaml.DoubleQuotedStyle
	if quote == '\'' {
		n.Style = yaml.SingleQuotedStyle
	}
	r.at++
	from := r.at
	for {
		switch c := r.peek(); {
		case c == quote:
			n.Value = r.text(from)
			r.at++
			return n
		case c < ' ' || c > '~' || c == '\\':
			return nil
		}
		r.at++
	}
}

// word reads a text without quotes: letters, digits and "-_./", and single spaces
// between such.
func (r *plain) word() *yaml.Node {
	n := r.node(yaml.ScalarNode, "!!str")
	from := r.at
	for r.at < len(r.data) {
		c := r.data[r.at]
		if !wordByte(c) && !(c == ' ' && r.at+1 < len(r.data) && wordByte(r.data[r.at+1])) {
			break
		}
		r.at++
	}
	n.Value = r.text(from)
	if reserved(n.Value) {
		return nil
	}
	return n
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '/'
}

// reserved tells the words that are no strings in some version of YAML.
func reserved(s string) bool {
	switch len(s) {
	case 1:
		return s[0]|0x20 == 'y' || s[0]|0x20 == 'n'
	case 2, 3, 4, 5:
		for _, word := range []string{"no", "on", "yes", "off", "null", "true", "false"} {
			if strings.EqualFold(s, word) {
				return true
			}
		}
	}
	return false
}

// digits reads a port, or a time such as 2030-01-31T12:00:00Z.
func (r *plain) digits() *yaml.Node {
	const layout = "2006-01-02T15:04:05Z"
	n := r.node(yaml.ScalarNode, "!!int")
	from := r.at
	for '0' <= r.peek() && r.peek() <= '9' {
		r.at++
	}
	if r.peek() == '-' && len(r.data)-from >= len(layout) {
		r.at = from + len(layout)
		n.Tag = "!!timestamp"
		if _, err := time.Parse(layout, string(r.data[from:r.at])); err != nil {
			return nil
		}
	} else if r.at-from > 5 {
		return nil
	}
	n.Value = r.text(from)
	return n
}

// text is what was read since from.
func (r *plain) text(from int) string {
	b := r.data[from:r.at]
	if s, ok := r.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(r.texts) < textsMax {
		r.texts[s] = s
	}
	return s
}
