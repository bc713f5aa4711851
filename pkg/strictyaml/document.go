// Package strictyaml reads one YAML document strictly and reports every fault
// with its position.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits bound a document. A zero field means its default.
type Limits struct {
	Bytes int // default 1 MiB
	Depth int // nested lists and mappings, default 16
}

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = 1 << 20
	}
	if l.Depth == 0 {
		l.Depth = 16
	}
	return l
}

// Document parses data, which messages call name, and returns the root node of
// its one document. Refused are: more bytes or deeper nesting than lim allows,
// bytes that are not UTF-8, NUL, syntax errors, an empty file, several
// documents, aliases, anchors, explicit tags, merge keys, and in any mapping a
// key that is repeated or is not a string. All faults of the tree are reported;
// the root is returned even then, unless there is none, so that a caller can
// add its own faults.
func Document(name string, data []byte, lim Limits) (*yaml.Node, Faults) {
	lim = lim.withDefaults()
	if f, ok := unreadable(name, data, lim); ok {
		return nil, Faults{f}
	}
	data = fromJSON(data)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil, Faults{{name, 1, 1, "the file is empty", "wanted one YAML document"}}
	case err != nil:
		return nil, Faults{syntaxFault(name, data, err)}
	}
	root := doc.Content[0]
	w := NewWalker(name)
	newChecker(w, data, lim.Depth).check(root, 1)
	if !hasText(root) {
		w.Fault(root, "the file is empty", "wanted one YAML document")
	}
	var second yaml.Node
	switch err := decode(dec, &second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		w.add(syntaxFault(name, data, err))
	default:
		w.Fault(&second, "a second document", "wanted one document in the file")
	}
	return root, w.Faults()
}

// decode is dec.Decode that survives the parser: it has panicked on malformed
// input before (CVE-2022-28948), and a bad file must never end a daemon.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	return dec.Decode(n)
}

// unreadable reports what makes data no text to parse at all.
func unreadable(name string, data []byte, lim Limits) (Fault, bool) {
	if len(data) > lim.Bytes {
		return Fault{name, 1, 1, fmt.Sprintf("the file has more than %d bytes", lim.Bytes), "wanted a smaller one"}, true
	}
	if n := items(data); n > lim.Bytes/4 {
		return Fault{name, 1, 1, fmt.Sprintf("the file has about %d items", n), fmt.Sprintf("wanted at most %d", lim.Bytes/4)}, true
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		line, col := place(data, i)
		return Fault{name, line, col, "a NUL byte", "wanted text"}, true
	}
	if !utf8.Valid(data) {
		line, col := place(data, invalidAt(data))
		return Fault{name, line, col, "bytes that are not UTF-8", "wanted UTF-8 text"}, true
	}
	return Fault{}, false
}

// items is about how many nodes data has, counted by what separates them. A node
// takes a hundred times the memory of its shortest text, "a,".
func items(data []byte) int {
	n := 0
	for i, c := range data {
		switch c {
		case ',', '\n', '\r', '[', '{', ':', '?':
			n++
		case '-':
			if i+1 < len(data) && data[i+1] <= ' ' {
				n++
			}
		}
	}
	return n
}

// invalidAt is the offset of the first byte of data that is not UTF-8.
func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(data)
}

// place is the line and column of the byte at offset i.
func place(data []byte, i int) (line, col int) {
	start := bytes.LastIndexByte(data[:i], '\n') + 1
	return bytes.Count(data[:start], []byte("\n")) + 1, utf8.RuneCount(data[start:i]) + 1
}

// hasText tells a document of only comments or "---" from one that says null.
func hasText(root *yaml.Node) bool {
	return root.Kind != yaml.ScalarNode || root.Tag != "!!null" || root.Value != ""
}

// A checker walks the tree once for what no document may contain.
type checker struct {
	w     *Walker
	src   source
	marks bool // the text has a '!', with which a tag begins
	depth int
	seen  keySet
}

func newChecker(w *Walker, data []byte, depth int) *checker {
	src := source{data: data, line: 1, col: 1}
	return &checker{w: w, src: src, marks: bytes.IndexByte(data, '!') >= 0, depth: depth}
}

func (c *checker) check(n *yaml.Node, depth int) {
	if depth > c.depth {
		c.w.Fault(n, "nested too deeply", fmt.Sprintf("wanted at most %d levels", c.depth))
		return
	}
	if n.Kind == yaml.AliasNode {
		c.w.Fault(n, "an alias", "wanted the value itself; a text that begins with * stands in quotes")
		return // its target was or will be seen where it stands
	}
	if n.Anchor != "" {
		c.w.Fault(n, "an anchor", "wanted the value without &"+n.Anchor)
	}
	if n.Style&yaml.TaggedStyle != 0 || c.marks && c.src.byteAt(n) == '!' {
		c.w.Fault(n, "an explicit tag", "wanted the value without a tag")
	}
	if n.Kind == yaml.MappingNode {
		c.keys(n)
	}
	for _, child := range n.Content {
		c.check(child, depth+1)
	}
}

// keys checks the keys of the mapping n.
func (c *checker) keys(n *yaml.Node) {
	c.seen.reset(len(n.Content) / 2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind == yaml.AliasNode:
		case k.Kind == yaml.ScalarNode && k.Tag == "!!merge":
			c.w.Fault(k, "a merge key", "wanted the fields written out")
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str":
			c.w.Fault(k, "a key that is "+Kind(k), "wanted a name")
		default:
			if first := c.seen.add(k); first != nil {
				c.w.Fault(k, fmt.Sprintf("key %s is repeated (first in line %d)", Quote(k.Value), first.Line), "wanted it once")
			}
		}
	}
}
