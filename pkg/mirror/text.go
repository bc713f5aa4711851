package mirror

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// A text is a YAML file that can be edited where its nodes stand.
type text struct {
	file  string
	data  []byte
	lines []int      // offsets where lines begin
	root  *yaml.Node // nil for a file without content

	last struct{ line, col, off int } // where offset was asked last
}

// readText parses data. Its one document must be a mapping, or nothing.
func readText(file string, data []byte) (*text, error) {
	t := &text{file: file, data: data, lines: lineStarts(data)}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, t.fault(1, 1, "bytes that are not UTF-8 text", "wanted a pipelock configuration")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return t, nil
	} else if err != nil {
		return nil, t.fault(1, 1, "not YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "wanted a pipelock configuration")
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, t.fault(max(second.Line, 1), 1, "a second document", "wanted one document in the file")
	}
	t.root = doc.Content[0]
	if t.root.Kind == yaml.ScalarNode && t.root.Tag == "!!null" && t.root.Value == "" {
		t.root = nil // only comments
		return t, nil
	}
	if t.root.Kind != yaml.MappingNode {
		return nil, t.at(t.root, "the document is "+strictyaml.Kind(t.root), "wanted a mapping, as in a pipelock configuration")
	}
	return t, nil
}

func (t *text) fault(line, col int, msg, want string) error {
	return strictyaml.Faults{{File: t.file, Line: line, Col: col, Msg: msg, Want: want}}
}

func (t *text) at(n *yaml.Node, msg, want string) error { return t.fault(n.Line, n.Column, msg, want) }

// lineStarts are the offsets of lines as the parser counts them: CR, NEL, LS
// and PS end one as LF does (YAML 1.1 §4.2).
func lineStarts(data []byte) []int {
	starts := []int{0}
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		starts[0] = len("\uFEFF") // a byte order mark is no column
	}
	for i := starts[0]; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		i += n
		switch r {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				i++
			}
			fallthrough
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i)
		}
	}
	return starts
}

// offset is where n begins, -1 when the file has no such place. On one line it
// goes on from where it was, so that a long list in brackets costs one pass.
func (t *text) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(t.lines) {
		return -1
	}
	if t.last.line != n.Line || t.last.col > n.Column {
		t.last.line, t.last.col, t.last.off = n.Line, 1, t.lines[n.Line-1]
	}
	for t.last.col < n.Column {
		if t.last.off >= len(t.data) {
			return -1
		}
		_, size := utf8.DecodeRune(t.data[t.last.off:])
		t.last.col, t.last.off = t.last.col+1, t.last.off+size
	}
	return t.last.off
}

// end is the offset after the scalar n, ok false when it is written in a way
// that is not worth editing: over several lines without quotes, with a tag or
// an anchor, as a block.
func (t *text) end(n *yaml.Node) (start, end int, ok bool) {
	start = t.offset(n)
	if start < 0 || n.Kind != yaml.ScalarNode {
		return 0, 0, false
	}
	rest := t.data[start:]
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0 && bytes.HasPrefix(rest, []byte("'")):
		end, ok = quoteEnd(rest, '\'', '\'')
	case n.Style&yaml.DoubleQuotedStyle != 0 && bytes.HasPrefix(rest, []byte(`"`)):
		end, ok = quoteEnd(rest, '"', '\\')
	case n.Style == 0:
		end, ok = len(n.Value), bytes.HasPrefix(rest, []byte(n.Value))
	}
	return start, start + end, ok
}

// quoteEnd is the length of the quoted text that s begins with; escape before
// the quote makes it content.
func quoteEnd(s []byte, quote, escape byte) (int, bool) {
	for i := 1; i < len(s); i++ {
		if s[i] == escape && i+1 < len(s) && (escape != quote || s[i+1] == quote) {
			i++
			continue
		}
		if s[i] == quote {
			return i + 1, true
		}
	}
	return 0, false
}

// lineAround is the line that holds the offset: its start, and the offset after
// its line break.
func (t *text) lineAround(off int) (start, end int) {
	i, found := slices.BinarySearch(t.lines, off)
	if !found {
		i--
	}
	start, end = t.lines[max(i, 0)], len(t.data)
	if i+1 < len(t.lines) {
		end = t.lines[i+1]
	}
	return start, end
}

// An edit replaces data[start:end].
type edit struct {
	start, end int
	text       string
}

// apply makes the edits, which do not overlap and are in order.
func (t *text) apply(edits []edit) []byte {
	var out []byte
	at := 0
	for _, e := range edits {
		out = append(out, t.data[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, t.data[at:]...)
}

// newline is the line break that the file uses.
func (t *text) newline() string {
	if bytes.Contains(t.data, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}
