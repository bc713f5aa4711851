package strictyaml

import (
	"slices"
	"testing"
)

const sample = `
text: x
number: 7
list: [a, 1, ~]
none: ~
octal: 017
yes: true
time: 2030-01-01
empty: []
nul: "\0"
tex: y
`

func TestWalkerReportsEachKind(t *testing.T) {
	root, faults := Document("f", []byte(sample), Limits{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	w := NewWalker("f")
	m, ok := w.Mapping(root, "the sample", "text", "number", "list", "none", "octal", "yes", "time", "empty", "nul")
	if !ok {
		t.Fatal("no mapping")
	}
	if s, ok := w.String(m.Get("text"), "text"); s != "x" || !ok {
		t.Errorf("text: %q, %v", s, ok)
	}
	if v, ok := w.Int(m.Get("number"), "number"); v != 7 || !ok {
		t.Errorf("number: %d, %v", v, ok)
	}
	if v, ok := w.Bool(m.Get("yes"), "yes"); !v || !ok {
		t.Errorf("yes: %v, %v", v, ok)
	}
	if list, ok := w.Strings(m.Get("list"), "list"); ok || !slices.Equal(list, []string{"a", "", ""}) {
		t.Errorf("list: %q, %v", list, ok)
	}
	w.String(m.Get("none"), "none")
	w.Int(m.Get("octal"), "octal")
	w.Int(m.Get("text"), "text")
	w.Bool(m.Get("time"), "time")
	w.String(m.Get("time"), "time")
	w.Strings(m.Get("empty"), "empty")
	w.Ints(m.Get("text"), "text")
	w.String(m.Get("nul"), "nul")
	w.Mapping(m.Get("list"), "list", "a", "b")
	want := `f:2:7: text is a string; wanted a whole number
f:2:7: text is a string; wanted a list of numbers
f:4:7: list is a list; wanted a mapping with a, b
f:4:11: list is a number; wanted a string, in quotes: "1"
f:4:14: list is null; wanted a string
f:5:7: none is null; wanted a string
f:6:8: octal is "017"; wanted a decimal whole number
f:8:7: time is a time; wanted true or false
f:8:7: time is a time; wanted a string, in quotes: "2030-01-01"
f:9:8: empty is empty; wanted at least one item, or no empty at all
f:10:6: nul contains a NUL; wanted text
f:11:1: unknown key "tex" in the sample; did you mean text`
	if got := w.Faults().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"host", "path_allowlist", "methods"}
	for s, want := range map[string]string{
		"path_alowlist": "path_allowlist", "hots": "host", "method": "methods", "pathallowlist": "path_allowlist",
		"path": "path_allowlist", "auth": "", "x": "", "": "", "something": "", "paths_allowlists": "path_allowlist",
	} {
		if got := nearest(s, keys); got != want {
			t.Errorf("nearest(%q) = %q, want %q", s, got, want)
		}
	}
}
