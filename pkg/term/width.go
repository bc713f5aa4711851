package term

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"bottle/pkg/escape"
)

// Width is how many columns r takes: 1, 2, 0 for a mark that is drawn over the
// letter before it, and -1 for what terminals do not agree on: emoji, letters
// that join, marks of other scripts, and what is written right to left, which
// some terminals put elsewhere on the line.
func Width(r rune) int {
	switch {
	case r >= ' ' && r < 0x7f:
		return 1
	case !escape.Visible(r):
		return -1
	case r >= 0x300 && r <= 0x36f:
		return 0
	case unicode.Is(wide, r):
		return 2
	case unicode.Is(unicode.M, r):
		return -1
	case r < 0x530 || unicode.Is(narrow, r):
		return 1
	}
	return -1
}

// narrow is what is drawn in one column everywhere, beyond U+0530.
var narrow = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x1e00, Hi: 0x1fff, Stride: 1}, // Latin and Greek with accents
	{Lo: 0x2010, Hi: 0x2027, Stride: 1}, // dashes, quotation marks
	{Lo: 0x2030, Hi: 0x203a, Stride: 1},
	{Lo: 0x20a0, Hi: 0x20bf, Stride: 1}, // currencies
	{Lo: 0x2190, Hi: 0x2193, Stride: 1}, // arrows
	{Lo: 0x2500, Hi: 0x257f, Stride: 1}, // lines
}}

// wide is what is drawn in two columns (Unicode, EastAsianWidth: W and F),
// without the emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115e, Stride: 1},
		{Lo: 0x2e80, Hi: 0x3029, Stride: 1},
		{Lo: 0x3030, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0x3098, Stride: 1},
		{Lo: 0x309b, Hi: 0x4dbf, Stride: 1},
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x20000, Hi: 0x2fffd, Stride: 1}, {Lo: 0x30000, Hi: 0x3fffd, Stride: 1}},
}

// Text is escape.Text of s, with every character of which the width is not
// certain escaped as well: one line whose columns can be counted.
func Text(s string, limit int) string {
	s = escape.Text(s, limit)
	var b strings.Builder
	letter := false
	for _, r := range s {
		// A mark needs a letter to lie on, or it would lie on what is ours.
		if w := Width(r); w < 0 || w == 0 && !letter {
			fmt.Fprintf(&b, `\u{%x}`, r)
			letter = true
			continue
		}
		b.WriteRune(r)
		letter = letter || Width(r) > 0
	}
	return b.String()
}

// Columns is the width of a text that has passed Text.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		n += max(Width(r), 0)
	}
	return n
}

// Cut returns as much of s as fits into so many columns, without half a
// character. Where something is left out the last column says so with a '>'.
func Cut(s string, columns int) string {
	n, keep := 0, 0 // keep: where to cut for the sign to fit
	for i, r := range s {
		w := max(Width(r), 0)
		if n+w > columns {
			if columns <= 0 {
				return ""
			}
			return s[:keep] + ">"
		}
		n += w
		if n < columns {
			keep = i + utf8.RuneLen(r)
		}
	}
	return s
}

// Wrap breaks s into lines of at most so many columns, at blanks where it can.
// Nothing is lost but the blanks at the breaks. There is at least one line.
func Wrap(s string, columns int) []string {
	columns = max(columns, 2) // a wide character fits
	var lines []string
	for {
		end := fits(s, columns)
		if end == len(s) {
			return append(lines, s)
		}
		// The last blank that leaves something before it, at end at the latest.
		if blank := strings.LastIndexByte(s[:end+1], ' '); blank > 0 && strings.Trim(s[:blank], " ") != "" {
			lines, s = append(lines, strings.TrimRight(s[:blank], " ")), strings.TrimLeft(s[blank:], " ")
			continue
		}
		lines, s = append(lines, s[:end]), s[end:]
	}
}

// fits is how many bytes of s fit into so many columns.
func fits(s string, columns int) int {
	n := 0
	for i, r := range s {
		n += max(Width(r), 0)
		if n > columns {
			return i
		}
	}
	return len(s)
}
