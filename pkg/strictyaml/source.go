package strictyaml

import (
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A source finds the byte where a node begins. It only moves forward, so that a
// walk in document order costs one pass, however long the lines are.
type source struct {
	data      []byte
	off       int
	line, col int // of off
}

// byteAt is the first byte of n, 0 when n lies behind the cursor or past the end.
func (s *source) byteAt(n *yaml.Node) byte {
	for s.off < len(s.data) && (s.line < n.Line || s.line == n.Line && s.col < n.Column) {
		s.step()
	}
	if s.off < len(s.data) && s.line == n.Line && s.col == n.Column {
		return s.data[s.off]
	}
	return 0
}

// step moves over one character. CR, CRLF, NEL, LS and PS end a line as LF does
// (YAML 1.1 §4.2, which the parser counts by).
func (s *source) step() {
	r, n := utf8.DecodeRune(s.data[s.off:])
	s.off += n
	switch r {
	case '\r':
		if s.off < len(s.data) && s.data[s.off] == '\n' {
			s.off++
		}
		fallthrough
	case '\n', '\u0085', '\u2028', '\u2029':
		s.line, s.col = s.line+1, 1
	case '\uFEFF':
		if s.off != n { // a byte order mark at the start is no column
			s.col++
		}
	default:
		s.col++
	}
}

// A keySet finds repeated keys: by comparing them in the usual small mapping, by
// a map in a large one.
type keySet struct {
	list []*yaml.Node
	m    map[string]*yaml.Node
}

// reset empties s for a mapping of n keys.
func (s *keySet) reset(n int) {
	s.list, s.m = s.list[:0], nil
	if n > 16 {
		s.m = make(map[string]*yaml.Node, n)
	}
}

// add returns the earlier node with k's value, or stores k and returns nil.
func (s *keySet) add(k *yaml.Node) *yaml.Node {
	if s.m != nil {
		if first := s.m[k.Value]; first != nil {
			return first
		}
		s.m[k.Value] = k
		return nil
	}
	for _, first := range s.list {
		if first.Value == k.Value {
			return first
		}
	}
	s.list = append(s.list, k)
	return nil
}
