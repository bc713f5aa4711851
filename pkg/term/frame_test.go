package term_test

import (
	"math/rand"
	"strings"
	"testing"

	"bottle/pkg/term"
	"bottle/pkg/term/termtest"
)

// want is what a screen must show for lines.
func want(lines []term.Line, width, height int) string {
	var b strings.Builder
	for y := range height {
		text := ""
		if y < len(lines) {
			for _, s := range lines[y] {
				text += s.Text
			}
		}
		for term.Columns(text) > width {
			r := []rune(text)
			text = string(r[:len(r)-1])
		}
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return b.String()
}

// TestFrames draws frames that follow each other and compares what a terminal
// then shows with what each says.
func TestFrames(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	words := []string{"a", "bc ", "日本", "e\u0301", "  ", "xyz", "Größe", "-----"}
	const width, height = 12, 5
	f := term.Frame{Width: width, Height: height, Ink: term.ColourInk}
	screen := termtest.NewScreen(width, height)
	screen.Write([]byte("\x1b[?1049h"))
	lines := make([]term.Line, height)
	for i := range 5000 {
		y := rnd.Intn(height)
		lines[y] = nil
		for range rnd.Intn(5) {
			lines[y] = append(lines[y], term.Span{Style: term.Style(rnd.Intn(8)), Text: words[rnd.Intn(len(words))]})
		}
		c := term.Cursor{Shown: rnd.Intn(2) == 0, Row: rnd.Intn(height), Col: rnd.Intn(width)}
		if _, err := screen.Write(f.Draw(lines, c)); err != nil {
			t.Fatal(err)
		}
		if got, want := screen.String(), want(lines, width, height); got != want {
			t.Fatalf("frame %d: the screen is\n%swant\n%s", i, got, want)
		}
		if screen.Cursor != c.Shown || c.Shown && (screen.Row != c.Row || screen.Col != c.Col) {
			t.Fatalf("frame %d: the cursor is at %d %d %v; want %+v", i, screen.Row, screen.Col, screen.Cursor, c)
		}
	}
}

// TestFramesAreShort: what does not change is not sent.
func TestFramesAreShort(t *testing.T) {
	f := term.Frame{Width: 80, Height: 24}
	lines := make([]term.Line, 24)
	for i := range lines {
		lines[i] = term.Line{{Text: strings.Repeat("text ", 15)}}
	}
	f.Draw(lines, term.Cursor{})
	if b := f.Draw(lines, term.Cursor{}); len(b) != 0 {
		t.Errorf("nothing has changed, and %q is sent", b)
	}
	lines[3] = term.Line{{Text: "text 1ext " + strings.Repeat("text ", 13)}}
	if b, want := string(f.Draw(lines, term.Cursor{})), "\x1b[?25l\x1b[4;6H1"; b != want {
		t.Errorf("one character has changed, and %q is sent; want %q", b, want)
	}
	if b := f.Draw(lines, term.Cursor{Shown: true}); len(b) > 20 {
		t.Errorf("the cursor has moved, and %q is sent", b)
	}
	f.Forget()
	if b := f.Draw(lines, term.Cursor{}); len(b) < 24*70 {
		t.Errorf("all is to be sent, and %d bytes are", len(b))
	}
}

func TestInk(t *testing.T) {
	cases := []struct {
		name, term, noColor string
		styles, colours     int
	}{
		{"a terminal", "xterm", "", 2, 1},
		{"NO_COLOR", "xterm", "1", 1, 0},
		{"dumb", "dumb", "", 0, 0},
		{"unknown", "", "", 0, 0},
	}
	for _, c := range cases {
		env := map[string]string{"TERM": c.term, "NO_COLOR": c.noColor}
		f := term.Frame{Width: 20, Height: 1, Ink: term.InkOf(func(k string) string { return env[k] })}
		s := termtest.NewScreen(20, 1)
		s.Write([]byte("\x1b[?1049h"))
		s.Write(f.Draw([]term.Line{{{Style: term.Red, Text: "red"}, {Text: " "}, {Style: term.Reverse, Text: "reverse"}}}, term.Cursor{}))
		if s.Styles != c.styles || s.Colours != c.colours || s.String() != "red reverse\n" {
			t.Errorf("%s: %d styles, %d colours, %q", c.name, s.Styles, s.Colours, s)
		}
	}
}

// FuzzFrame: no text makes a terminal do anything but show it in its line, even
// when it was not escaped before.
func FuzzFrame(f *testing.F) {
	f.Add("\x1b[2J\x1b[10;10Hforged\r\n", "e\u0301\u202e\U0001f680日")
	f.Add("a\xff\u009b5Hb\u2028", "\u0301\u0301")
	f.Fuzz(func(t *testing.T, a, b string) {
		const width, height = 10, 4
		frame := term.Frame{Width: width, Height: height, Ink: term.ColourInk}
		s := termtest.NewScreen(width, height)
		s.Write([]byte("\x1b[?1049h"))
		ours := term.Line{{Text: "ours"}}
		for _, text := range []string{a, b, a + b} {
			lines := []term.Line{ours, {{Style: term.Bold, Text: text}}, ours, {{Text: "x"}, {Style: term.Red, Text: text}}, ours}
			if _, err := s.Write(frame.Draw(lines, term.Cursor{})); err != nil {
				t.Fatal(err)
			}
			rows := strings.Split(s.String(), "\n")
			if rows[0] != "ours" || rows[2] != "ours" || !strings.HasPrefix(rows[3], "x") {
				t.Errorf("%q made the screen\n%s", text, s)
			}
		}
	})
}
