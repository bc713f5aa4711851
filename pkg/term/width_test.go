package term

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	cases := []struct{ in, want string }{
		{"plain, Größe, Ελλάδα, 日本", "plain, Größe, Ελλάδα, 日本"},
		{"\x1b[2J\r\n", `\u{1b}[2J\r\n`},
		{"e\u0301", "e\u0301"},
		{"\u0301e", `\u{301}e`},
		{"\u05e9\u05dc\u05d5\u05dd \u202e", `\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}`},
		{"rocket \U0001f680", `rocket \u{1f680}`},
		{"\u0928\u093f", `\u{928}\u{93f}`},
	}
	for _, c := range cases {
		if got := Text(c.in, 0); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	cases := []struct {
		in      string
		columns int
		want    string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab>"}, {"日本", 4, "日本"}, {"日本", 3, "日>"}, {"日本", 2, ">"},
		{"e\u0301x", 1, ">"}, {"ae\u0301", 2, "ae\u0301"}, {"", 0, ""}, {"a", 0, ""},
	}
	for _, c := range cases {
		if got := Cut(c.in, c.columns); got != c.want {
			t.Errorf("%q in %d: got %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	cases := []struct {
		in   string
		want []string
	}{
		{"", []string{""}},
		{"one two", []string{"one", "two"}},
		{"abcdefgh", []string{"abcde", "fgh"}},
		{"ab   cdefgh i", []string{"ab", "cdefg", "h i"}},
		{"日本語x", []string{"日本", "語x"}},
		{"       x", []string{"     ", "  x"}},
	}
	for _, c := range cases {
		if got := Wrap(c.in, 5); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

// FuzzText: whatever it is, its columns can be counted, no line is too wide and
// nothing but blanks is lost.
func FuzzText(f *testing.F) {
	f.Add("a b\x1b[0m日本 e\u0301\u0301", 7)
	f.Add("\u202e\u0600\U0001f680 \u200b", 2)
	f.Fuzz(func(t *testing.T, s string, columns int) {
		columns = 2 + abs(columns)%100
		text := Text(s, 0)
		if !utf8.ValidString(text) {
			t.Fatalf("%q is not UTF-8", text)
		}
		for _, r := range text {
			if Width(r) < 0 || r < ' ' {
				t.Fatalf("%q has %U", text, r)
			}
		}
		lines := Wrap(text, columns)
		for _, l := range append(lines, Cut(text, columns)) {
			if n := Columns(l); n > columns {
				t.Errorf("%q has %d columns, not %d", l, n, columns)
			}
		}
		bare := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := bare(strings.Join(lines, "")); got != bare(text) {
			t.Errorf("%q was wrapped to %q", text, lines)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
