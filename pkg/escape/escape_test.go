package escape

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	cases := []struct{ in, want string }{
		{"plain, even Größe and 日本", "plain, even Größe and 日本"},
		{"two\nlines\r\n\tand tab", `two\nlines\r\n\tand tab`},
		{"\x1b[2J\x07\x7f", `\u{1b}[2J\u{7}\u{7f}`},
		{"c1 \u009b31m", `c1 \u{9b}31m`},
		{"bidi \u202egnp.exe\u2069", `bidi \u{202e}gnp.exe\u{2069}`},
		{"zero\u200bwidth\ufeff", `zero\u{200b}width\u{feff}`},
		{"filler\u3164 blank\u2800 tag\U000e0041", `filler\u{3164} blank\u{2800} tag\u{e0041}`},
		{"no-break\u00a0space line\u2028sep", `no-break\u{a0}space line\u{2028}sep`},
		{`forged \n`, `forged \\n`},
		{"bad \xff\xfe", `bad \xff\xfe`},
		{"e\u0301\u0301\u0301\u0301\u0301", "e\u0301\u0301\u0301" + `\u{301}\u{301}`},
		{"replacement \ufffd", "replacement \ufffd"},
	}
	for _, c := range cases {
		if got := Text(c.in, 0); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestTextLimit(t *testing.T) {
	if got, want := Text("日本語", 4), "日 [6 bytes more]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// safe reports the first character in s that no terminal should be sent.
func safe(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%q is not UTF-8", s)
	}
	for _, r := range s {
		if !Visible(r) {
			t.Errorf("%q shows %U", s, r)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a\x1b[0m", "\u202e", "e\u0301\u0301\u0301\u0301", `\n`, "\xe6\x97"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Text(s, limit)
		safe(t, got)
		if limit <= 0 {
			limit = Limit
		}
		if most := 8*min(limit, len(s)) + 40; len(got) > most {
			t.Errorf("%d bytes of %d with limit %d", len(got), len(s), limit)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add("a\u202e\U000e0041\x1b\x7f\ue000")
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		in, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		out := JSON(in)
		safe(t, string(out))
		var a, b map[string]string
		if json.Unmarshal(in, &a) != nil || json.Unmarshal(out, &b) != nil || a[s] != b[s] || len(b) != 1 {
			t.Errorf("%s became %s", in, out)
		}
		if !bytes.Equal(JSON(out), out) {
			t.Errorf("JSON of %s is not stable", out)
		}
	})
}

func TestLines(t *testing.T) {
	for s, want := range map[string]string{
		"bottlerun run: a\nhint: b\tc": "bottlerun run: a\nhint: b\tc", `\u{1b} "\n"`: `\u{1b} "\n"`, "\x1b]52;c;eA==\a": `\u{1b}]52;c;eA==\u{7}`,
		"\xff\r": `\xff\r`, "\u202e": `\u{202e}`, "é e\u0301": "é e\u0301",
	} {
		if got := Lines(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}
