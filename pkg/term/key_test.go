package term

import (
	"fmt"
	"strings"
	"testing"
)

// names is keys in words.
func names(keys []Key) string {
	var list []string
	for _, k := range keys {
		switch k.Name {
		case Rune:
			list = append(list, string(k.Rune))
		case Control:
			list = append(list, "^"+string(k.Rune))
		case Paste:
			list = append(list, fmt.Sprintf("paste(%s)", k.Text))
		default:
			list = append(list, [...]string{"", "enter", "tab", "backspace", "delete", "escape", "up", "down", "left", "right", "home", "end", "pageup", "pagedown"}[k.Name])
		}
	}
	return strings.Join(list, " ")
}

func TestKeys(t *testing.T) {
	cases := []struct{ in, want string }{
		{"aé日", "a é 日"},
		{"\r\n\t\x7f\b", "enter enter tab backspace backspace"},
		{"\x03\x1a\x01", "^c ^z ^a"},
		{"\x1b[A\x1bOB\x1b[1;5C\x1b[D", "up down right left"},
		{"\x1b[H\x1b[4~\x1b[3~\x1b[5~\x1b[6;2~", "home end delete pageup pagedown"},
		{"\x1b[12~a", "a"},     // a function key is nothing, and no part of it a letter
		{"\x1b[[Aa", "a"},      // nor one of the Linux console
		{"\x1bOaq", "q"},       // nor ^Up of rxvt
		{"\x1b[<0;3;4Mq", "q"}, // nor a mouse
		{"\x1ba\x1béq", "q"},   // Alt is nothing
		{"\x1b\x1b[A", "escape up"},
		{"\xff\xfea\xc2\x9b", "a"},
		{"\x1b[200~a\x1b[Aq\r\x1b[201~b", "paste(a\x1b[Aq\r) b"},
		{"\x1b[200~\x1b[201~", "paste()"},
	}
	for _, c := range cases {
		var whole, split Decoder
		if got := names(whole.Feed([]byte(c.in))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
		var keys []Key
		for i := range len(c.in) {
			keys = append(keys, split.Feed([]byte{c.in[i]})...)
		}
		if got := names(keys); got != c.want {
			t.Errorf("%q byte by byte: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFlush(t *testing.T) {
	cases := []struct{ first, then, want string }{
		{"\x1b", "q", "escape q"},
		{"\x1b", "[A", "escape up"}, // the rest of an arrow came late: never the letter A
		{"\x1b", "Oa", "escape"},
		{"\x1b[", "q", "q"},
		{"\xe6\x97", "q", "q"},
		{"\x1b[200~ab", "c\x1b[201~", "paste(abc)"},
	}
	for _, c := range cases {
		var d Decoder
		keys := append(d.Feed([]byte(c.first)), d.Flush()...)
		if got := names(append(keys, d.Feed([]byte(c.then))...)); got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.first, c.then, got, c.want)
		}
	}
}

func TestPasteIsBounded(t *testing.T) {
	var d Decoder
	d.Feed([]byte("\x1b[200~"))
	for range 100 {
		d.Feed([]byte(strings.Repeat("x", 10_000)))
	}
	keys := d.Feed([]byte("\x1b[201~q"))
	if len(keys) != 2 || len(keys[0].Text) > maxPaste || keys[1].Rune != 'q' {
		t.Errorf("%d keys, a paste of %d bytes", len(keys), len(keys[0].Text))
	}
}

// FuzzKeys: split anywhere the keys are the same, and nothing grows.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("a\x1b[A\x1b[200~x\x1b[201~\x1bOa"), 3)
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		at = abs(at) % (len(in) + 1)
		var whole, split Decoder
		a := whole.Feed(in)
		b := append(split.Feed(in[:at]), split.Feed(in[at:])...)
		if names(a) != names(b) {
			t.Errorf("%q: %s; split at %d: %s", in, names(a), at, names(b))
		}
		if !whole.pasting && len(whole.buf) > maxSequence+8 {
			t.Errorf("%d bytes are kept", len(whole.buf))
		}
	})
}
