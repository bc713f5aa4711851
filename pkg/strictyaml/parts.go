package strictyaml

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// partSize is about how many bytes of items a part has. It is kept so small that
// the tree of a part stays in the processor's cache.
const partSize = 32 << 10

// headMax is up to what length the beginning of a document is recognised, in
// bytes; it stands in every part.
const headMax = 4 << 10

// head is what stands before the first item of the one list: comments, "---", the
// key, then "[", or a line break and the first dash. What it matches is judged by
// the parser once more.
var head = regexp.MustCompile(`^(?:[ \t]*(?:#.*)?\r?\n)*(?:---[ \t]*\r?\n)?(?:[ \t]*(?:#.*)?\r?\n)*` +
	`(\{\s*)?["']?[a-z_]+["']?[ \t]*:` +
	`(?:\s*\[|[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*( *- ))`)

// Parts reads a long list some items at a time, since the tree of a document
// takes ten to twenty times the memory of its text. Each part is parsed as a
// document of its own: the head of the whole, the items, and the brackets that
// close it.
//
// Where to cut is guessed from the text, and the parser is the judge. What stands
// before a cut is read exactly as in the whole document. In block style a cut is
// a line that begins as the first item does: unless it lies within a text or in
// brackets, which the cut would leave open, it begins an item. In flow style one
// more item is put behind the cut, and must turn up at the end of the list.
type Parts struct {
	key   string
	depth int
	size  int
	data  []byte
	head  []byte
	foot  string
	mark  []byte // in block style: a line break and what an item begins with
	at    int    // where the next part begins

	// Of at: its line and column, and those behind head.
	line, col, headLine, headCol int

	plain   plain
	checker checker // of what plain has read
	text    []byte  // of the part in work
}

// Cut prepares data, which must consist of the one key key and a list, for being
// read in parts. It is nil when data is short, has another shape, or has bytes or
// a length that are refused. Cut and Next only tell that something is the matter:
// what it is, and where, Document says.
func Cut(data []byte, lim Limits, key string) *Parts { return cut(data, lim, key, partSize) }

func cut(data []byte, lim Limits, key string, size int) *Parts {
	lim = lim.withDefaults()
	if len(data) < 2*size || oddBreaks(data) {
		return nil
	}
	if _, bad := unreadable("", data, lim); bad {
		return nil
	}
	data = fromJSON(data)
	m := head.FindSubmatchIndex(data[:min(len(data), headMax)])
	if m == nil || m[1] == len(data) {
		return nil
	}
	ps := &Parts{key: key, depth: lim.Depth, size: size, data: data, at: m[1]}
	inBraces, inBlock := m[2] >= 0, m[4] >= 0
	switch {
	case inBraces && inBlock:
		return nil
	case inBraces:
		ps.foot = "]}"
	case inBlock:
		ps.at = m[4]
		ps.mark = append([]byte{'\n'}, data[m[4]:m[5]]...)
	default:
		ps.foot = "]"
	}
	ps.head = data[:ps.at]
	ps.headLine, ps.headCol = place(data, ps.at)
	ps.line, ps.col = ps.headLine, ps.headCol
	if _, ok := ps.parse(ps.sample(), false); !ok {
		return nil
	}
	return ps
}

// sample is the shortest part; with it the parser judges the head.
func (ps *Parts) sample() []byte {
	if ps.mark == nil {
		return []byte("0")
	}
	return append(slices.Clone(ps.mark[1:]), "x\n"...)
}

// More tells whether there is another part.
func (ps *Parts) More() bool { return ps.at < len(ps.data) }

// About is how many items the list has, judging by the first items of it, which
// end here.
func (ps *Parts) About(items int) int {
	return items * (len(ps.data) - len(ps.head)) / max(1, ps.at-len(ps.head))
}

// oddBreaks tells whether data has a byte order mark, or a line break other than
// LF and CRLF, which the parser counts and we do not.
func oddBreaks(data []byte) bool {
	for _, s := range []string{"\u0085", "\u2028", "\u2029", "\uFEFF"} {
		if bytes.Contains(data, []byte(s)) {
			return true
		}
	}
	return bytes.Count(data, []byte("\r")) != bytes.Count(data, []byte("\r\n"))
}

// Next returns the next items of the list, with the lines and columns that they
// have in the document. They hold until the next call. It returns ok false when
// there is anything that Document would report.
func (ps *Parts) Next() (items []*yaml.Node, ok bool) {
	end, next := ps.find()
	part := ps.data[ps.at:end]
	last := next == len(ps.data)
	if !last && endsDocument(part) {
		return nil, false
	}
	list, ok := ps.readPlain(part, last)
	if !ok {
		list, ok = ps.parse(part, last)
	}
	if !ok {
		return nil, false
	}
	ps.advance(ps.data[ps.at:next])
	ps.at = next
	return list.Content, true
}

// find is where the part that begins at ps.at ends, and where the next begins.
func (ps *Parts) find() (end, next int) {
	from := ps.at + ps.size
	switch {
	case from >= len(ps.data):
	case ps.mark != nil:
		if i := bytes.Index(ps.data[from:], ps.mark); i >= 0 {
			return from + i + 1, from + i + 1
		}
	default:
		if end, next, ok := betweenBraces(ps.data, from); ok {
			return end, next
		}
	}
	return len(ps.data), len(ps.data)
}

// betweenBraces is the first place from from on that looks like "}, {", perhaps
// with comments before the second brace: behind the first one, and behind the comma.
func betweenBraces(data []byte, from int) (end, next int, ok bool) {
	for {
		i := bytes.IndexByte(data[from:], '}')
		if i < 0 {
			return 0, 0, false
		}
		from += i + 1
		comma := from + white(data[from:])
		if comma == len(data) || data[comma] != ',' {
			continue
		}
		if brace := comma + 1 + gap(data[comma+1:]); brace < len(data) && data[brace] == '{' {
			return from, comma + 1, true
		}
	}
}

// gap is how many bytes of white space and comments data begins with.
func gap(data []byte) int {
	for n := 0; ; {
		w := white(data[n:])
		n += w
		if w == 0 || n == len(data) || data[n] != '#' {
			return n
		}
		if i := bytes.IndexByte(data[n:], '\n'); i > 0 {
			n += i
		}
	}
}

// white is how many bytes of white space data begins with.
func white(data []byte) int { return len(data) - len(bytes.TrimLeft(data, " \t\r\n")) }

// endsDocument tells whether a line begins with "...": behind it another document
// could begin without a "---".
func endsDocument(text []byte) bool { return bytes.Contains(text, []byte("\n...")) }

// parse has the parser read a part, and returns the list.
func (ps *Parts) parse(part []byte, last bool) (list *yaml.Node, ok bool) {
	ps.text = append(append(ps.text[:0], ps.head...), part...)
	probe := !last && ps.mark == nil
	end := len(ps.text) + len(",")
	if probe {
		ps.text = append(append(ps.text, ",0"...), ps.foot...)
	}
	dec := yaml.NewDecoder(bytes.NewReader(ps.text))
	var doc, second yaml.Node
	if decode(dec, &doc) != nil || !errors.Is(decode(dec, &second), io.EOF) {
		return nil, false
	}
	root := doc.Content[0]
	w := NewWalker("")
	newChecker(w, ps.text, ps.depth).check(root, 1)
	if w.Count() > 0 || root.Kind != yaml.MappingNode || len(root.Content) != 2 || root.Content[0].Value != ps.key {
		return nil, false
	}
	list = root.Content[1]
	if list.Kind != yaml.SequenceNode || probe && !ps.cutLast(list, end) {
		return nil, false
	}
	if !last && endsEmpty(list) {
		return nil, false
	}
	ps.move(list)
	return list, true
}

// endsEmpty tells whether n ends with a null that is not written: its place is
// that of what follows, which stands in the next part.
func endsEmpty(n *yaml.Node) bool {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == ""
}

// cutLast removes the last item of list, and tells whether it began at offset at
// of ps.text.
func (ps *Parts) cutLast(list *yaml.Node, at int) bool {
	n := len(list.Content) - 1
	if n < 0 {
		return false
	}
	item := list.Content[n]
	list.Content = list.Content[:n]
	line, col := place(ps.text, at)
	return item.Line == line && item.Column == col
}

// move gives what is below n the places of the whole document.
func (ps *Parts) move(n *yaml.Node) {
	for _, child := range n.Content {
		if child.Line == ps.headLine {
			child.Column += ps.col - ps.headCol
		}
		child.Line += ps.line - ps.headLine
		ps.move(child)
	}
}

// advance takes the place of ps.at over text.
func (ps *Parts) advance(text []byte) {
	if n := bytes.Count(text, []byte("\n")); n > 0 {
		ps.line, ps.col = ps.line+n, 1
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	}
	ps.col += utf8.RuneCount(text)
}
