package strictyaml

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// plain reads the items of a list as the parser does, in a tenth of its time, as
// long as they are of the plainest kind: mappings of names to texts and lists of
// texts, on lines of their own or in brackets, in ASCII, without escapes, tags
// and texts of several lines. It gives up at the first byte that could mean
// anything else, and the parser reads the part. FuzzParts holds both together.
type plain struct {
	data  []byte
	at    int
	line  int
	start int // the offset of column 1, which lies before data for its first line

	nodes []*[nodeBlock]yaml.Node // used again for each part
	used  int
	texts map[string]string // what is repeated is kept once
}

const (
	nodeBlock = 256
	textsMax  = 4096
	nameMax   = 64 // the parser knows a key only within 1024 bytes
)

// readPlain is parse for what plain understands.
func (ps *Parts) readPlain(part []byte, last bool) (list *yaml.Node, ok bool) {
	r := &ps.plain
	if r.texts == nil {
		r.texts = make(map[string]string)
	}
	r.data, r.at, r.line, r.start, r.used = part, 0, ps.line, 1-ps.col, 0
	list = r.node(yaml.SequenceNode, "!!seq")
	if ps.mark != nil {
		ok = r.blockItems(list, len(ps.mark)-len("\n- "))
	} else {
		ok = r.flowItems(list, last, ps.foot)
	}
	return list, ok && ps.clean(list)
}

// clean tells whether there is no fault in list, which stands below the root.
func (ps *Parts) clean(list *yaml.Node) bool {
	ps.checker.w = NewWalker("")
	ps.checker.depth = ps.depth
	ps.checker.check(list, 2)
	return ps.checker.w.Count() == 0
}

// node is a new node that begins here.
func (r *plain) node(kind yaml.Kind, tag string) *yaml.Node {
	if r.used == len(r.nodes)*nodeBlock {
		r.nodes = append(r.nodes, new([nodeBlock]yaml.Node))
	}
	n := &r.nodes[r.used/nodeBlock][r.used%nodeBlock]
	r.used++
	*n = yaml.Node{Kind: kind, Tag: tag, Line: r.line, Column: r.at - r.start + 1, Content: n.Content[:0]}
	return n
}

// peek is the next byte, 0 at the end.
func (r *plain) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

// take moves over c if it is next.
func (r *plain) take(c byte) bool {
	if r.peek() != c || r.at == len(r.data) {
		return false
	}
	r.at++
	if c == '\n' {
		r.line, r.start = r.line+1, r.at
	}
	return true
}

// blanks moves over spaces and tells whether there were any.
func (r *plain) blanks() bool {
	from := r.at
	for r.take(' ') {
	}
	return r.at > from
}

// white moves over spaces and, where a text may go on in the next line, over line
// breaks.
func (r *plain) white(lines bool) {
	for r.take(' ') || lines && (r.take('\n') || r.afterWhite() && r.comment()) {
	}
}

// afterWhite tells whether the byte before is white space; a comment must have it.
func (r *plain) afterWhite() bool {
	return r.at > 0 && (r.data[r.at-1] == ' ' || r.data[r.at-1] == '\n')
}

// comment moves over a comment in ASCII, up to the end of its line.
func (r *plain) comment() bool {
	if r.peek() != '#' {
		return false
	}
	for c := r.peek(); ' ' <= c && c <= '~'; c = r.peek() {
		r.at++
	}
	return true
}

// endLine moves over the rest of a line, which may be a comment.
func (r *plain) endLine() bool {
	if r.blanks() {
		r.comment()
	}
	return r.take('\n')
}

// blockItems reads "- " and a mapping after indent spaces, to the end.
func (r *plain) blockItems(list *yaml.Node, indent int) bool {
	for {
		r.idle()
		if r.at == len(r.data) {
			return true
		}
		if r.indentation() != indent {
			return false
		}
		r.at += indent
		if !r.take('-') || !r.take(' ') {
			return false
		}
		item := r.node(yaml.MappingNode, "!!map")
		ok := false
		if r.peek() == '{' {
			ok = r.braces(item, false) && r.endLine()
		} else {
			ok = r.lines(item, indent+2)
		}
		if !ok {
			return false
		}
		list.Content = append(list.Content, item)
	}
}

// idle moves over empty lines and lines that are comments in ASCII.
func (r *plain) idle() {
	for {
		if r.take('\n') {
			continue
		}
		from := r.at
		r.blanks()
		if !r.comment() || !r.take('\n') {
			r.at = from
			return
		}
	}
}

// indentation is how many spaces are next.
func (r *plain) indentation() int {
	n := 0
	for r.at+n < len(r.data) && r.data[r.at+n] == ' ' {
		n++
	}
	return n
}

// lines reads a mapping whose keys begin lines after indent spaces; it stands at
// the first.
func (r *plain) lines(m *yaml.Node, indent int) bool {
	for {
		key := r.name()
		if key == nil || !r.take(':') {
			return false
		}
		value := r.lineValue(indent)
		if value == nil {
			return false
		}
		m.Content = append(m.Content, key, value)
		r.idle()
		if r.indentation() != indent || r.at+indent == len(r.data) || !nameByte(r.data[r.at+indent]) {
			return true
		}
		r.at += indent
	}
}

// lineValue reads what follows "key:" to the end of its line, or the list below.
func (r *plain) lineValue(indent int) *yaml.Node {
	if r.take('\n') {
		return r.dashes(indent)
	}
	if !r.blanks() {
		return nil
	}
	v := r.value(false)
	if v == nil || !r.endLine() {
		return nil
	}
	return v
}

// dashes reads a list of texts, one in a line, after indent spaces or more.
func (r *plain) dashes(indent int) *yaml.Node {
	depth := r.indentation()
	if depth < indent {
		return nil
	}
	r.at += depth
	list := r.node(yaml.SequenceNode, "!!seq")
	for {
		if !r.take('-') || !r.take(' ') {
			return nil
		}
		item := r.scalar()
		if item == nil || !r.endLine() {
			return nil
		}
		list.Content = append(list.Content, item)
		if r.indentation() != depth || !bytes.HasPrefix(r.data[r.at+depth:], []byte("- ")) {
			return list
		}
		r.at += depth
	}
}

// flowItems reads mappings in braces with commas between them; in the last part
// to the end of the document, whose brackets are foot.
func (r *plain) flowItems(list *yaml.Node, last bool, foot string) bool {
	for {
		r.white(true)
		item := r.node(yaml.MappingNode, "!!map")
		if !r.braces(item, true) {
			return false
		}
		list.Content = append(list.Content, item)
		if r.at == len(r.data) {
			return !last
		}
		r.white(true)
		comma := r.take(',')
		if !last && !comma {
			return false
		}
		if r.white(true); last && r.peek() == ']' {
			break
		} else if !comma {
			return false
		}
	}
	for i := range len(foot) {
		if !r.take(foot[i]) {
			return false
		}
		r.white(true)
	}
	return r.at == len(r.data)
}

// braces reads {key: value, ...} into m.
func (r *plain) braces(m *yaml.Node, lines bool) bool {
	m.Style = yaml.FlowStyle
	if !r.take('{') {
		return false
	}
	for {
		r.white(lines)
		quoted := r.peek() == '"'
		key := r.key()
		if key == nil || !r.take(':') || !r.blanks() && !quoted {
			return false
		}
		value := r.value(lines)
		if value == nil {
			return false
		}
		m.Content = append(m.Content, key, value)
		r.white(lines)
		if r.take('}') {
			return true
		}
		if !r.take(',') {
			return false
		}
	}
}

// value reads a text or a list of texts in brackets.
func (r *plain) value(lines bool) *yaml.Node {
	if r.peek() != '[' {
		return r.scalar()
	}
	list := r.node(yaml.SequenceNode, "!!seq")
	list.Style = yaml.FlowStyle
	r.take('[')
	for {
		r.white(lines)
		item := r.scalar()
		if item == nil {
			return nil
		}
		list.Content = append(list.Content, item)
		r.white(lines)
		if r.take(']') {
			return list
		}
		if !r.take(',') {
			return nil
		}
	}
}

// key reads a name, which may stand in double quotes.
func (r *plain) key() *yaml.Node {
	if r.peek() != '"' {
		return r.name()
	}
	n := r.quoted()
	if n == nil || len(n.Value) > nameMax {
		return nil
	}
	return n
}
