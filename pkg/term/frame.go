package term

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"
)

// A Style is how a span of a line looks.
type Style uint8

// The styles. Nothing is told by a style alone: not every terminal has them.
const (
	Plain Style = iota
	Bold
	Dim
	Reverse
	Red
	Green
	Yellow
	Cyan
)

// A Span is text in one style.
type Span struct {
	Style Style
	Text  string
}

// A Line is one line of the screen.
type Line []Span

// Ink is which styles a terminal is sent.
type Ink int

// No styles at all; those that are no colours; all.
const (
	NoInk Ink = iota
	MonoInk
	ColourInk
)

// InkOf is the ink for an environment: NO_COLOR (no-color.org) leaves the colours
// out, TERM=dumb everything.
func InkOf(getenv func(string) string) Ink {
	switch {
	case getenv("TERM") == "dumb" || getenv("TERM") == "":
		return NoInk
	case getenv("NO_COLOR") != "":
		return MonoInk
	}
	return ColourInk
}

// sgr is the SGR parameter of a style in an ink, "" for none.
func (k Ink) sgr(s Style) string {
	if k == NoInk || k == MonoInk && s >= Red {
		return ""
	}
	return [...]string{"", "1", "2", "7", "31", "32", "33", "36"}[s]
}

// A cell is one character, with the marks over it, in its place.
type cell struct {
	text  string
	style Style
	width int
}

func (c cell) ascii() bool { return len(c.text) == 1 }

// A Frame knows what is on a screen and writes the difference to the next one.
//
// Nothing but a Frame writes to the screen, and the only control bytes that it
// writes are its own: a character whose width is not certain comes out as '?',
// a line ends at the last column, and each is placed by its number, so that a
// terminal that counts otherwise has one line wrong and not the next.
type Frame struct {
	Width, Height int
	Ink           Ink

	rows   [][]cell
	cursor Cursor
	valid  bool // rows and cursor are what is on the screen
}

// Forget says that the screen no longer shows what was written.
func (f *Frame) Forget() { f.valid = false }

// A Cursor is where the terminal's cursor is to be seen; the zero Cursor hides it.
type Cursor struct {
	Shown    bool
	Row, Col int // from 0
}

// Draw returns the bytes that make the screen show lines, none when it does.
// Lines beyond the height are left out.
func (f *Frame) Draw(lines []Line, c Cursor) []byte {
	var b bytes.Buffer
	if !f.valid || len(f.rows) != f.Height {
		f.rows = make([][]cell, f.Height)
		b.WriteString("\x1b[0m\x1b[2J")
	}
	for y := range f.rows {
		var row []cell
		if y < len(lines) {
			row = cells(lines[y], f.Width, f.Ink)
		}
		f.row(&b, y, f.rows[y], row)
		f.rows[y] = row
	}
	if b.Len() == 0 && c == f.cursor && f.valid {
		return nil
	}
	f.valid, f.cursor = true, c
	out := append([]byte("\x1b[?25l"), b.Bytes()...)
	if c.Shown && c.Row < f.Height {
		out = fmt.Appendf(out, "\x1b[%d;%dH\x1b[?25h", c.Row+1, min(c.Col, f.Width-1)+1)
	}
	return out
}

// cells lays a line out in columns.
func cells(l Line, width int, ink Ink) []cell {
	var row []cell
	n := 0
	for _, s := range l {
		style := s.Style
		if ink.sgr(style) == "" {
			style = Plain
		}
		for _, r := range s.Text {
			w := Width(r)
			if w < 0 || r == utf8.RuneError {
				r, w = '?', 1
			}
			if w == 0 {
				if len(row) > 0 {
					row[len(row)-1].text += string(r)
				}
				continue
			}
			if n+w > width {
				return row
			}
			row, n = append(row, cell{string(r), style, w}), n+w
		}
	}
	// Blanks at the end need not be sent.
	for len(row) > 0 && row[len(row)-1].text == " " && row[len(row)-1].style != Reverse {
		row = row[:len(row)-1]
	}
	return row
}

// row writes what makes the line y of was that of is. Only where all that stands
// before is ASCII is a part of the line written alone.
func (f *Frame) row(b *bytes.Buffer, y int, was, is []cell) {
	if slices.Equal(was, is) {
		return
	}
	from := 0
	for from < len(was) && from < len(is) && was[from] == is[from] && is[from].ascii() {
		from++
	}
	to, rest := len(is), true
	if len(was) == len(is) && allASCII(was[from:]) && allASCII(is[from:]) {
		rest = false
		for was[to-1] == is[to-1] {
			to--
		}
	}
	fmt.Fprintf(b, "\x1b[%d;%dH", y+1, from+1)
	style := Plain
	for _, c := range is[from:to] {
		if c.style != style {
			f.turn(b, style, c.style)
			style = c.style
		}
		b.WriteString(c.text)
	}
	if style != Plain {
		b.WriteString("\x1b[0m")
	}
	if rest && columns(is) < f.Width {
		b.WriteString("\x1b[K")
	}
}

func (f *Frame) turn(b *bytes.Buffer, was, is Style) {
	if was != Plain {
		b.WriteString("\x1b[0m")
	}
	if p := f.Ink.sgr(is); p != "" {
		fmt.Fprintf(b, "\x1b[%sm", p)
	}
}

func allASCII(row []cell) bool {
	return !slices.ContainsFunc(row, func(c cell) bool { return !c.ascii() })
}

func columns(row []cell) int {
	n := 0
	for _, c := range row {
		n += c.width
	}
	return n
}
