package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// MaxBytes is the largest configuration that is edited.
const MaxBytes = 16 << 20

const key = "api_allowlist"

// A Change is what an edit does to the allowlist.
type Change struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	// Passed are hosts whose TLS pipelock leaves alone from now on.
	Passed []string `json:"passed,omitempty"`
	// Restarted tells that pipelock was started anew for it.
	Restarted bool `json:"restarted,omitempty"`
	// Was is the SHA-256 of the configuration before.
	Was string `json:"was"`
}

// Merge returns config, a pipelock configuration that messages call file, with
// names (as Names returns them) on its api_allowlist; with replace, every other
// entry is taken off. Every byte outside the entries added and removed stays as
// it is: comments, order, quotes, line ends. Nothing to change returns config.
// The result has been parsed again and compared. The error is
// strictyaml.Faults: a file that pipelock would not load either, or that is
// written in a way that cannot be edited so.
func Merge(file string, config []byte, names []string, replace bool) ([]byte, Change, error) {
	var change Change
	if len(config) > MaxBytes {
		return nil, change, strictyaml.Faults{{File: file, Line: 1, Col: 1, Msg: fmt.Sprintf("more than %d bytes", MaxBytes), Want: "wanted a pipelock configuration"}}
	}
	t, err := readText(file, config)
	if err != nil {
		return nil, change, err
	}
	l, err := t.allowlist()
	if err != nil {
		return nil, change, err
	}
	if replace && len(names) == 0 {
		names = []string{Nobody}
	}
	change = l.compare(names, replace)
	if len(change.Added)+len(change.Removed) == 0 {
		return config, change, nil
	}
	edits, err := l.edits(change)
	if err != nil {
		return nil, change, err
	}
	out := t.apply(edits)
	if err := verify(t, out, l.after(change)); err != nil {
		return nil, change, t.at(l.place(), key+" cannot be edited: "+err.Error(), "wanted a plain list, one entry per line")
	}
	return out, change, nil
}

// Entries returns the api_allowlist of config as it stands.
func Entries(file string, config []byte) ([]string, error) {
	t, err := readText(file, config)
	if err != nil {
		return nil, err
	}
	l, err := t.allowlist()
	if err != nil {
		return nil, err
	}
	return l.entries, nil
}

// A list is a list of hosts in its text: api_allowlist, or one in a mapping
// further down.
type list struct {
	*text
	parent     *yaml.Node // the mapping it is in; nil in a file without content
	name       string
	key, value *yaml.Node // nil when there is none
	entries    []string
	gone       map[string]bool // entries to be taken off, set by compare
}

func (t *text) allowlist() (*list, error) { return t.listIn(t.root, key) }

func (t *text) listIn(parent *yaml.Node, key string) (*list, error) {
	l := &list{text: t, parent: parent, name: key}
	if parent == nil {
		return l, nil
	}
	for i := 0; i+1 < len(parent.Content); i += 2 {
		k := parent.Content[i]
		if k.Tag == "!!merge" {
			return nil, t.at(k, "a merge key, which may hold "+key, "wanted the settings written out")
		}
		if k.Value != key || k.Kind != yaml.ScalarNode {
			continue
		}
		if l.key != nil {
			return nil, t.at(k, "key "+key+" is repeated", "wanted it once")
		}
		l.key, l.value = k, parent.Content[i+1]
	}
	if l.key == nil || l.value.Kind == yaml.ScalarNode && l.value.Tag == "!!null" {
		return l, nil
	}
	if l.value.Kind != yaml.SequenceNode {
		return nil, t.at(l.value, key+" is "+strictyaml.Kind(l.value), "wanted a list")
	}
	for i, n := range l.value.Content {
		if n.Kind != yaml.ScalarNode {
			return nil, t.at(n, fmt.Sprintf("item %d of %s is %s", i+1, key, strictyaml.Kind(n)), "wanted a host")
		}
		l.entries = append(l.entries, n.Value)
	}
	return l, nil
}

// place is the node that a fault of the list points to.
func (l *list) place() *yaml.Node {
	if l.key != nil {
		return l.key
	}
	if l.root != nil {
		return l.root
	}
	return &yaml.Node{Line: 1, Column: 1}
}

// compare is what is to be changed so that names are on the list, and with
// replace nothing else.
func (l *list) compare(names []string, replace bool) (c Change) {
	have, want := map[string]bool{}, map[string]bool{}
	for _, e := range l.entries {
		have[same(e)] = true
	}
	for _, n := range names {
		if want[same(n)] = true; !have[same(n)] {
			c.Added = append(c.Added, n)
			have[same(n)] = true
		}
	}
	l.gone = map[string]bool{}
	for _, e := range l.entries {
		if replace && !want[same(e)] {
			c.Removed, l.gone[e] = append(c.Removed, e), true
		}
	}
	return c
}

// after is the list that the change makes.
func (l *list) after(c Change) []string {
	kept := slices.DeleteFunc(slices.Clone(l.entries), func(e string) bool { return l.gone[e] })
	return append(kept, c.Added...)
}

// verify parses the edited text and checks that its list is want and that
// nothing else differs from before.
func verify(before *text, data []byte, want []string) error {
	after, err := readText(before.file, data)
	if err != nil {
		return err
	}
	l, err := after.allowlist()
	if err != nil {
		return err
	}
	if !slices.Equal(l.entries, want) {
		return fmt.Errorf("it would become %q", l.entries)
	}
	if !equal(without(before.root, key), without(after.root, key)) {
		return errors.New("another setting would change with it")
	}
	return nil
}

// without is the mapping root but for one key.
func without(root *yaml.Node, key string) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	if root == nil {
		return m
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != key {
			m.Content = append(m.Content, root.Content[i:i+2]...)
		}
	}
	return m
}

func equal(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && a.Anchor == b.Anchor && a.Style == b.Style &&
		slices.EqualFunc(a.Content, b.Content, equal)
}

// quote writes a name: a wildcard without quotes would be an alias.
func quote(name string) string { return `"` + name + `"` }

func quoteAll(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(n))
	}
	return b.String()
}

// blockItems are names as lines of a list.
func blockItems(prefix, newline string, names []string) string {
	var b bytes.Buffer
	for _, n := range names {
		b.WriteString(prefix + quote(n) + newline)
	}
	return b.String()
}
