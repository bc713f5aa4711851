package mirror

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// mergeCases are a configuration, the names merged, and the result. Everything
// is written out: the point is what does not change.
var mergeCases = map[string]struct {
	in      string
	names   string // blank-separated
	replace bool
	want    string
}{
	"block list": {"# head\napi_allowlist:\n  - a.test # why\n  # b\n  - 'b.test'\n# foot\nmode: strict\n", "c.test *.d.test", false,
		"# head\napi_allowlist:\n  - a.test # why\n  # b\n  - 'b.test'\n  - \"c.test\"\n  - \"*.d.test\"\n# foot\nmode: strict\n"},
	"block list without indent":  {"api_allowlist:\n- a.test\nmode: strict\n", "b.test", false, "api_allowlist:\n- a.test\n- \"b.test\"\nmode: strict\n"},
	"block list, odd indent":     {"mode: strict\napi_allowlist:\n    -   \"a.test\"", "b.test", false, "mode: strict\napi_allowlist:\n    -   \"a.test\"\n    -   \"b.test\"\n"},
	"block list, CRLF":           {"api_allowlist:\r\n  - a.test\r\nmode: strict\r\n", "b.test", false, "api_allowlist:\r\n  - a.test\r\n  - \"b.test\"\r\nmode: strict\r\n"},
	"block list after a mark":    {"\uFEFFapi_allowlist:\n  - a.test\n", "b.test", false, "\uFEFFapi_allowlist:\n  - a.test\n  - \"b.test\"\n"},
	"flow list":                  {"api_allowlist: [a.test, \"*.b.test\"] # c\nmode: strict\n", "c.test", false, "api_allowlist: [a.test, \"*.b.test\", \"c.test\"] # c\nmode: strict\n"},
	"flow list, final comma":     {"api_allowlist: [\n  a.test, # x\n  'it''s', # y\n]\n", "b.test", false, "api_allowlist: [\n  a.test, # x\n  'it''s', \"b.test\", # y\n]\n"},
	"flow list, escapes":         {"api_allowlist: [\"a\\\"]\\\\\", \"\\x62.test\"]\n", "b.test c.test", false, "api_allowlist: [\"a\\\"]\\\\\", \"\\x62.test\", \"c.test\"]\n"},
	"empty list":                 {"api_allowlist: [ ] # none\n", "a.test b.test", false, "api_allowlist: [\"a.test\", \"b.test\" ] # none\n"},
	"null":                       {"api_allowlist: null # none\nmode: strict\n", "a.test", false, "api_allowlist: [\"a.test\"] # none\nmode: strict\n"},
	"tilde":                      {"api_allowlist: ~\n", "a.test", false, "api_allowlist: [\"a.test\"]\n"},
	"nothing after the key":      {"api_allowlist: # none\nmode: strict\n", "a.test", false, "api_allowlist: [\"a.test\"] # none\nmode: strict\n"},
	"nothing after a quoted key": {"'api_allowlist' :\nmode: strict\n", "a.test", false, "'api_allowlist' : [\"a.test\"]\nmode: strict\n"},
	"no key":                     {"mode: strict\n# end\n", "a.test", false, "mode: strict\n# end\napi_allowlist:\n  - \"a.test\"\n"},
	"no key, no final newline":   {"mode: strict", "a.test", false, "mode: strict\napi_allowlist:\n  - \"a.test\"\n"},
	"no key, indented":           {"  mode: strict\n", "a.test", false, "  mode: strict\n  api_allowlist:\n    - \"a.test\"\n"},
	"empty file":                 {"", "a.test", false, "api_allowlist:\n  - \"a.test\"\n"},
	"only comments":              {"# c\n---\n", "a.test", false, "# c\n---\napi_allowlist:\n  - \"a.test\"\n"},
	"JSON":                       {`{"api_allowlist":["a.test"],"mode":"strict"}`, "b.test", false, `{"api_allowlist":["a.test", "b.test"],"mode":"strict"}`},
	"JSON without the key":       {`{"mode":"strict"}`, "b.test", false, `{"api_allowlist": ["b.test"], "mode":"strict"}`},
	"JSON without any key":       {`{}`, "b.test", false, `{"api_allowlist": ["b.test"]}`},
	"the same key deeper":        {"x:\n  api_allowlist: [no.test]\napi_allowlist: [a.test]\n", "b.test", false, "x:\n  api_allowlist: [no.test]\napi_allowlist: [a.test, \"b.test\"]\n"},
	"case and final dot":         {"api_allowlist: [A.Test., b.test]\n", "a.test", false, "api_allowlist: [A.Test., b.test]\n"},
	"aliases elsewhere":          {"x: &x [1]\ny: *x\napi_allowlist:\n- a.test\nz: {<<: {q: 1}}\n", "b.test", false, "x: &x [1]\ny: *x\napi_allowlist:\n- a.test\n- \"b.test\"\nz: {<<: {q: 1}}\n"},

	"replace in a block list":     {"api_allowlist:\n  - a.test # a\n  # about b\n  - b.test\n  - c.test\n", "b.test d.test", true, "api_allowlist:\n  # about b\n  - b.test\n  - \"d.test\"\n"},
	"replace the last":            {"api_allowlist:\n- a.test\n- b.test", "a.test c.test", true, "api_allowlist:\n- a.test\n- \"c.test\"\n"},
	"replace all of a block list": {"api_allowlist:\n  - a.test\n  - b.test\nmode: strict\n", "c.test", true, "api_allowlist:\n  - \"c.test\"\nmode: strict\n"},
	"replace by nothing":          {"api_allowlist:\n  - a.test\nmode: strict\n", "", true, "api_allowlist:\n  - \"none.invalid\"\nmode: strict\n"},
	"replace in a flow list":      {"api_allowlist: [a.test, b.test, c.test, d.test, e.test]\n", "b.test d.test", true, "api_allowlist: [b.test, d.test]\n"},
	"replace around one":          {"api_allowlist: [ a.test, b.test, c.test ]\n", "b.test x.test", true, "api_allowlist: [ b.test, \"x.test\" ]\n"},
	"replace all of a flow list":  {"api_allowlist: [ a.test, b.test ]\n", "c.test", true, "api_allowlist: [ \"c.test\" ]\n"},
	"replace with the same":       {"api_allowlist: [ A.test ]\n", "a.test", true, "api_allowlist: [ A.test ]\n"},
}

func TestMerge(t *testing.T) {
	for name, c := range mergeCases {
		got, change, err := Merge("pipelock.yaml", []byte(c.in), strings.Fields(c.names), c.replace)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got\n%q, %v; want\n%q", name, got, err, c.want)
			continue
		}
		if unchanged := len(change.Added)+len(change.Removed) == 0; unchanged != (c.in == c.want) {
			t.Errorf("%s: change %+v", name, change)
		}
		again, _, err := Merge("pipelock.yaml", got, strings.Fields(c.names), c.replace)
		if err != nil || string(again) != string(got) {
			t.Errorf("%s: merged twice: got\n%q, %v; want\n%q", name, again, err, got)
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	cases := map[string]struct{ in, want string }{
		"not YAML":         {"api_allowlist: [", "p.yaml:1:1: not YAML: "},
		"unquoted star":    {"api_allowlist: [*.x]", "p.yaml:1:1: not YAML: "},
		"two documents":    {"mode: strict\n---\nmode: strict\n", "p.yaml:2:1: a second document; wanted one"},
		"a list":           {"- a", "p.yaml:1:1: the document is a list; wanted a mapping"},
		"a mapping":        {"mode: x\napi_allowlist: {a: b}", "p.yaml:2:16: api_allowlist is a mapping; wanted a list"},
		"a string":         {"api_allowlist: a.test", "p.yaml:1:16: api_allowlist is a string; wanted a list"},
		"an alias":         {"x: &x [a]\napi_allowlist: *x", "p.yaml:2:16: api_allowlist is an alias; wanted a list"},
		"nested":           {"api_allowlist:\n- a\n- [b]\n", "p.yaml:3:3: item 2 of api_allowlist is a list; wanted a host"},
		"an alias as item": {"x: &x a\napi_allowlist: [*x]\n", "p.yaml:2:17: item 1 of api_allowlist is an alias; wanted a host"},
		"twice":            {"api_allowlist: [a]\napi_allowlist: [b]\n", "p.yaml:2:1: key api_allowlist is repeated; wanted it once"},
		"merge key":        {"x: &x {api_allowlist: [a]}\n<<: *x\n", "p.yaml:2:1: a merge key, which may hold"},
		"not UTF-8":        {"mode: \xff", "p.yaml:1:1: bytes that are not UTF-8 text; wanted"},
		"UTF-16":           {"\xff\xfea\x00", "p.yaml:1:1: bytes that are not UTF-8 text; wanted"},
		"several lines":    {"api_allowlist:\n  - a\n    b\n", "p.yaml:2:5: api_allowlist is written in a way that is not edited here; wanted"},
		"block scalar":     {"api_allowlist:\n  - |\n    b\n", "p.yaml:2:5: api_allowlist is written in a way"},
		"dash alone":       {"api_allowlist:\n  -\n    b\n", "p.yaml:3:5: api_allowlist is written in a way"},
		"closed document":  {"mode: strict\n...\n", "p.yaml:1:1: api_allowlist cannot be edited: "},
	}
	for name, c := range cases {
		got, _, err := Merge("p.yaml", []byte(c.in), []string{"new.test"}, false)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// TestMergeLarge: thousands of hosts, on and off one line and many; nothing quadratic.
func TestMergeLarge(t *testing.T) {
	names := make([]string, 30_000)
	for i := range names {
		names[i] = fmt.Sprintf("h%d.example.com", i)
	}
	for _, config := range []string{"api_allowlist: [a.test]\n", "api_allowlist:\n- a.test\n"} {
		start := time.Now()
		full, _, err := Merge("c", []byte(config), names, false)
		if err != nil {
			t.Fatal(err)
		}
		back, change, err := Merge("c", full, []string{"a.test"}, true)
		if err != nil || string(back) != config || len(change.Removed) != len(names) {
			t.Errorf("got %d bytes, %d removed, %v", len(back), len(change.Removed), err)
		}
		if d := time.Since(start); d > time.Minute {
			t.Errorf("took %v", d)
		}
	}
}

func FuzzMerge(f *testing.F) {
	for _, c := range mergeCases {
		f.Add([]byte(c.in), c.names, c.replace)
	}
	f.Add([]byte("a: |+\n  x\n\n"), "a.test", false)
	f.Add([]byte("a:\u0085b: 1\napi_allowlist: ['x',\t\"y\" ]"), "a.test", true)
	f.Fuzz(func(t *testing.T, data []byte, hosts string, replace bool) {
		names, _, err := Names("hosts", []byte(strings.Join(strings.Fields(hosts), "\n")))
		if err != nil {
			return
		}
		got, change, err := Merge("c", data, names, replace)
		if err != nil {
			return
		}
		before, err := readText("c", data)
		if err != nil {
			t.Fatalf("merged though it does not parse: %v", err)
		}
		after, err := readText("c", got)
		if err != nil {
			t.Fatalf("%q became %q: %v", data, got, err)
		}
		if !equal(without(before.root, key), without(after.root, key)) {
			t.Fatalf("%q became %q: another setting changed", data, got)
		}
		checkEntries(t, got, names, replace)
		again, _, err := Merge("c", got, names, replace)
		if err != nil || string(again) != string(got) {
			t.Fatalf("%q, then %q, %v", got, again, err)
		}
		if len(change.Removed) == 0 && !isSubsequence(data, got) {
			t.Fatalf("%q became %q: bytes are missing", data, got)
		}
	})
}

// checkEntries checks that every name is on the list, and with replace nothing else.
func checkEntries(t *testing.T, config []byte, names []string, replace bool) {
	t.Helper()
	entries, err := Entries("c", config)
	if err != nil {
		t.Fatal(err)
	}
	have, want := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		have[same(e)] = true
	}
	for _, n := range names {
		want[n] = true
		if !have[n] {
			t.Fatalf("%s is not on %q", n, entries)
		}
	}
	if replace && len(names) > 0 && !reflect.DeepEqual(have, want) {
		t.Fatalf("replaced: %q; want %q", entries, names)
	}
}

// isSubsequence tells whether all of small stands in big, in order.
func isSubsequence(small, big []byte) bool {
	i := 0
	for _, c := range big {
		if i < len(small) && small[i] == c {
			i++
		}
	}
	// "null" and "~" are the one thing that is overwritten.
	rest := strings.TrimSpace(string(small[i:]))
	return i == len(small) || strings.Contains(string(small), "~") || strings.Contains(strings.ToLower(rest+string(small)), "null")
}
