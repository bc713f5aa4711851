package strictyaml

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// faultMax is how many faults are kept; a hostile file could have millions.
const faultMax = 10000

// A Walker reads typed values out of nodes and collects what is wrong with them.
// Its readers return ok false after they have reported a fault.
type Walker struct {
	name   string
	faults Faults
	more   int // faults beyond faultMax
}

// NewWalker makes a walker whose faults name the file name.
func NewWalker(name string) *Walker { return &Walker{name: name} }

// Fault reports msg, and what was wanted, at the place of n.
func (w *Walker) Fault(n *yaml.Node, msg, want string) {
	w.add(Fault{w.name, n.Line, n.Column, msg, want})
}

// Add takes over faults found elsewhere.
func (w *Walker) Add(fs Faults) {
	for _, f := range fs {
		w.add(f)
	}
}

func (w *Walker) add(f Fault) {
	if len(w.faults) >= faultMax {
		w.more++
		return
	}
	w.faults = append(w.faults, f)
}

// Count is how many faults there are so far.
func (w *Walker) Count() int { return len(w.faults) + w.more }

// FaultSince tells whether a fault at the place of n was reported after Count
// was since, so that one mistake is not reported twice.
func (w *Walker) FaultSince(since int, n *yaml.Node) bool {
	for i := min(since, len(w.faults)); i < len(w.faults); i++ {
		if w.faults[i].Line == n.Line && w.faults[i].Col == n.Column {
			return true
		}
	}
	return false
}

// Faults are the faults so far, in the order of their places.
func (w *Walker) Faults() Faults {
	fs := slices.Clone(w.faults).Sorted()
	if w.more > 0 {
		last := fs[len(fs)-1]
		fs = append(fs, Fault{w.name, last.Line, last.Col, fmt.Sprintf("%d more faults", w.more), "wanted none; only the first are shown"})
	}
	return fs
}

// Kind is what n is, for a message: "a list", "a number", "null".
func Kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!str":
		return "a string"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a truth value"
	case "!!null":
		return "null"
	case "!!timestamp":
		return "a time"
	}
	return "a value with the tag " + Quote(n.Tag)
}

// wrong reports that what should have been the kind want.
func (w *Walker) wrong(n *yaml.Node, what, want string) {
	if n.Kind == yaml.AliasNode {
		return // Document has reported it
	}
	w.Fault(n, what+" is "+Kind(n), "wanted "+want)
}

// A Mapping is a mapping node whose keys have been checked.
type Mapping struct{ Node *yaml.Node }

// Mapping reads n as a mapping with the given keys and no others; what names it
// in messages. An unknown key is a fault that names the nearest known one.
// Repeated keys are Document's business; of them the first is seen.
func (w *Walker) Mapping(n *yaml.Node, what string, keys ...string) (Mapping, bool) {
	if n.Kind != yaml.MappingNode {
		w.wrong(n, what, "a mapping with "+strings.Join(keys, ", "))
		return Mapping{}, false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" || slices.Contains(keys, k.Value) {
			continue
		}
		want := "wanted one of " + strings.Join(keys, ", ")
		if near := nearest(k.Value, keys); near != "" {
			want = "did you mean " + near
		}
		w.Fault(k, "unknown key "+Quote(k.Value)+" in "+what, want)
	}
	return Mapping{n}, true
}

// Get is the value of key, nil when it is absent.
func (m Mapping) Get(key string) *yaml.Node {
	_, v := m.Field(key)
	return v
}

// Field is the node of key and that of its value, nil when it is absent.
func (m Mapping) Field(key string) (k, v *yaml.Node) {
	c := m.Node.Content
	for i := 0; i+1 < len(c); i += 2 {
		if c[i].Value == key && c[i].Kind == yaml.ScalarNode {
			return c[i], c[i+1]
		}
	}
	return nil, nil
}

// Pairs calls f with each key and the node of its value, in the order of the
// file. n must be a mapping, else a fault is reported.
func (w *Walker) Pairs(n *yaml.Node, what string, f func(key, value *yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		w.wrong(n, what, "a mapping")
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode {
			f(n.Content[i], n.Content[i+1])
		}
	}
	return true
}

// List returns the items of the list n.
func (w *Walker) List(n *yaml.Node, what string) ([]*yaml.Node, bool) {
	if n.Kind != yaml.SequenceNode {
		w.wrong(n, what, "a list")
		return nil, false
	}
	return n.Content, true
}

// String reads n as a string. A number, truth value, time or null is a fault,
// as is a NUL in the text ("\0").
func (w *Walker) String(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		want := "a string"
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			want = "a string, in quotes: " + Quote(n.Value)
		}
		w.wrong(n, what, want)
		return "", false
	}
	if strings.IndexByte(n.Value, 0) >= 0 {
		w.Fault(n, what+" contains a NUL", "wanted text")
		return "", false
	}
	return n.Value, true
}

// StringOrList reads n as one string or as Strings does.
func (w *Walker) StringOrList(n *yaml.Node, what string) (list []string, ok bool) {
	if n.Kind == yaml.SequenceNode {
		return w.Strings(n, what)
	}
	s, ok := w.String(n, what)
	return []string{s}, ok
}

// Strings reads n as a list of strings that is not empty. An item that is no
// string is reported and makes ok false; the list then has "" in its place.
func (w *Walker) Strings(n *yaml.Node, what string) (list []string, ok bool) {
	items, ok := w.filled(n, what, "strings")
	if len(items) == 0 {
		return nil, ok
	}
	list = make([]string, len(items))
	for i, item := range items {
		var good bool
		list[i], good = w.String(item, what)
		ok = ok && good
	}
	return list, ok
}

// filled is List with the fault for an empty one.
func (w *Walker) filled(n *yaml.Node, what, of string) ([]*yaml.Node, bool) {
	if n.Kind != yaml.SequenceNode {
		w.wrong(n, what, "a list of "+of)
		return nil, false
	}
	if len(n.Content) == 0 {
		w.Fault(n, what+" is empty", "wanted at least one item, or no "+what+" at all")
		return nil, false
	}
	return n.Content, true
}

// Ints reads n as a list of integers that is not empty, as Strings does, with 0
// in the place of an item that is none.
func (w *Walker) Ints(n *yaml.Node, what string) (list []int, ok bool) {
	items, ok := w.filled(n, what, "numbers")
	for _, item := range items {
		v, good := w.Int(item, what)
		ok = ok && good
		list = append(list, v)
	}
	return list, ok
}

// Int reads n as a decimal integer. Other notations of YAML (0x1F, 0o17, 1_000,
// 017) are faults: people read them differently.
func (w *Walker) Int(n *yaml.Node, what string) (int, bool) {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		w.wrong(n, what, "a whole number")
		return 0, false
	}
	if err != nil || strconv.Itoa(v) != n.Value {
		w.Fault(n, what+" is "+Quote(n.Value), "wanted a decimal whole number")
		return 0, false
	}
	return v, true
}

// Bool reads n as true or false.
func (w *Walker) Bool(n *yaml.Node, what string) (bool, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		w.wrong(n, what, "true or false")
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

// nearest is the known key that s is most likely a misspelling of, "" when none
// is near.
func nearest(s string, keys []string) string {
	if s == "" {
		return ""
	}
	best, name := 3, ""
	for _, k := range keys {
		if len(s) >= 3 && strings.HasPrefix(k, s) {
			return k
		}
		d := distance(s, k, best)
		if d < best && (d == 1 || s[0] == k[0]) {
			best, name = d, k
		}
	}
	return name
}

// distance is the number of single-byte edits from a to b (Levenshtein), or max
// when the lengths alone make it that large.
func distance(a, b string, max int) int {
	if len(a)-len(b) >= max || len(b)-len(a) >= max {
		return max
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
