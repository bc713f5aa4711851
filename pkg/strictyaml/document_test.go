package strictyaml

import (
	"strings"
	"testing"
)

func TestDocumentRefuses(t *testing.T) {
	cases := []struct{ name, data, want string }{
		{"empty", "", "f:1:1: the file is empty; wanted one YAML document"},
		{"blank", "\n\n", "f:1:1: the file is empty; wanted one YAML document"},
		{"comments", "# nothing\n", "f:1:1: the file is empty; wanted one YAML document"},
		{"marker", "---\n", "f:2:1: the file is empty; wanted one YAML document"},
		{"nul", "a: b\nc: \x00\n", "f:2:4: a NUL byte; wanted text"},
		{"latin1", "a: b\nc: \xe9t\xe9\n", "f:2:4: bytes that are not UTF-8; wanted UTF-8 text"},
		{"overlong", "a: \xc0\xaf\n", "f:1:4: bytes that are not UTF-8; wanted UTF-8 text"},
		{"utf16", "\xff\xfea\x00", "f:1:4: a NUL byte; wanted text"},
		{"two documents", "a: b\n---\nc: d\n", "f:2:1: a second document; wanted one document in the file"},
		{"broken second", "a: b\n---\n[c\n", "f:3:1: not YAML: did not find expected ',' or ']'; wanted one well-formed YAML document"},
		{"alias", "a: &x b\nc: *x\n", "f:1:4: an anchor; wanted the value without &x\nf:2:4: an alias; wanted the value itself; a text that begins with * stands in quotes"},
		{"unknown alias", "a: b\nc: *x\n", `f:2:1: not YAML: unknown anchor 'x' referenced; wanted quotes around a text that begins with *: "*.example.com"`},
		{"unquoted wildcard", "a: b\nhost: *.example.com\n", `f:2:1: not YAML: did not find expected alphabetic or numeric character; wanted quotes around a text that begins with *: "*.example.com"`},
		{"tag", "a: !!str b\n", "f:1:4: an explicit tag; wanted the value without a tag"},
		{"own tag", "a: !x {b: c}\n", "f:1:4: an explicit tag; wanted the value without a tag"},
		{"bare tag", "a: b\nc: [é, ! d]\n", "f:2:8: an explicit tag; wanted the value without a tag"},
		{"merge key", "a:\n  <<: {b: c}\n", "f:2:3: a merge key; wanted the fields written out"},
		{"repeated keys", "a: b\nc: d\na: e\nc: f\n", "f:3:1: key \"a\" is repeated (first in line 1); wanted it once\nf:4:1: key \"c\" is repeated (first in line 2); wanted it once"},
		{"number as key", "1: a\n", "f:1:1: a key that is a number; wanted a name"},
		{"null as key", "~: a\n", "f:1:1: a key that is null; wanted a name"},
		{"list as key", "? [a]\n: b\n", "f:1:3: a key that is a list; wanted a name"},
		{"tab", "a:\n\tb: c\n", "f:2:1: not YAML: found character that cannot start any token; wanted spaces for indentation and quotes around a text that begins with a sign"},
		{"unclosed", "a: b\nc: [d\n", "f:2:1: not YAML: did not find expected ',' or ']'; wanted one well-formed YAML document"},
		{"deep", strings.Repeat("[", 17) + strings.Repeat("]", 17), "f:1:17: nested too deeply; wanted at most 16 levels"},
	}
	for _, c := range cases {
		_, faults := Document("f", []byte(c.data), Limits{})
		if got := faults.Error(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestDocumentLimits(t *testing.T) {
	_, faults := Document("f", []byte("a: bcdefgh"), Limits{Bytes: 5})
	if got, want := faults.Error(), "f:1:1: the file has more than 5 bytes; wanted a smaller one"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, faults = Document("f", []byte("["+strings.Repeat("a,", 30)+"]"), Limits{Bytes: 100})
	if got, want := faults.Error(), "f:1:1: the file has about 31 items; wanted at most 25"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDocumentAccepts(t *testing.T) {
	cases := map[string]string{
		"block":           "a: b\n",
		"byte order mark": "\ufeffa: b\n",
		"CRLF":            "a: b\r\nc: d\r\n",
		"json":            `{"a": [1, {"b": "\/"}]}`,
		"json with tabs":  "{\n\t\"a\":1\n}\n",
		"end marker":      "---\na: b\n...\n",
		"comments":        "# c\na: b # d\n",
	}
	for name, data := range cases {
		if n, faults := Document("f", []byte(data), Limits{}); len(faults) > 0 || n == nil {
			t.Errorf("%s: %v", name, faults)
		}
	}
}

// A JSON encoder that keeps to ASCII writes an emoji as a surrogate pair, for
// which YAML has no escape.
func TestDocumentReadsJSONEscapes(t *testing.T) {
	n, faults := Document("f", []byte(`{"a": "\\ud83d \ud83d\ude00 \u00e9"}`), Limits{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if got, want := n.Content[1].Value, `\ud83d 😀 é`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, faults := Document("f", []byte(`{"a": "\ud83d"}`), Limits{}); len(faults) == 0 {
		t.Error("half a surrogate pair was accepted")
	}
}

func TestFaultsAreBounded(t *testing.T) {
	data := "[" + strings.Repeat("!x a,", faultMax+7) + "b]"
	_, faults := Document("f", []byte(data), Limits{})
	if len(faults) != faultMax+1 || !strings.Contains(faults[faultMax].Msg, "7 more faults") {
		t.Errorf("%d faults, the last is %v", len(faults), faults[len(faults)-1])
	}
}

func TestQuoteEscapesAndCuts(t *testing.T) {
	if got, want := Quote("\x1b[31m\u202e"), `"\x1b[31m\u202e"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := Quote(strings.Repeat("é", 100)), `"`+strings.Repeat("é", 40)+`"...`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzDocument: no input makes the reader panic, and what it accepts has a root.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{"a: b", "{\"a\": [1, null]}", "a: &x [b]\nc: *x", "--- !!map\n? a\n: - b\n", "\"\\ud83d\\ude00\"", "a: |\n b\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, faults := Document("f", data, Limits{Bytes: 1 << 16})
		if n == nil && len(faults) == 0 {
			t.Fatal("neither a root nor a fault")
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Col < 1 {
				t.Fatalf("no place: %+v", fault)
			}
		}
	})
}
