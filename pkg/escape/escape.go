// Package escape makes text that a stranger wrote safe to look at.
//
// A terminal obeys control bytes, and the eye is misled by bidirectional
// controls, by characters without width and by heaps of combining marks
// (Unicode TR36, TR39). All of these come out as visible escapes.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limit is the default bound of a shown text, in bytes of the original.
const Limit = 4000

// maxMarks is how many combining marks may follow each other: more than any
// living script needs, less than covers the line above.
const maxMarks = 3

// Text returns s on one line of printable characters. Newline, tab and carriage
// return become \n, \t, \r; a backslash becomes \\, so that an escape cannot be
// forged; bytes that are not UTF-8 become \xNN, every other character that is
// not plainly visible \u{N}. Of more than limit bytes the rest is counted only;
// limit <= 0 means Limit.
func Text(s string, limit int) string {
	if limit <= 0 {
		limit = Limit
	}
	s, left := cut(s, limit)
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case Visible(r) && marks <= maxMarks:
			b.WriteRune(r)
		default:
			b.WriteString(name(r))
		}
		i += n
	}
	if left > 0 {
		fmt.Fprintf(&b, " [%d bytes more]", left)
	}
	return b.String()
}

// Lines returns s, a message of several lines of which a part may be a stranger's after
// all, with what a terminal obeys made visible. Newlines and tabs stay, and backslashes:
// what was escaped is not again.
func Lines(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n', r == '\t', Visible(r), unicode.Is(unicode.M, r):
			b.WriteRune(r)
		default:
			b.WriteString(name(r))
		}
		i += n
	}
	return b.String()
}

// cut returns at most limit bytes of s, not ending inside a character, and how
// many bytes are left out.
func cut(s string, limit int) (string, int) {
	if len(s) <= limit {
		return s, 0
	}
	end := limit
	for i := 0; i < utf8.UTFMax-1 && end > 0 && !utf8.RuneStart(s[end]); i++ {
		end--
	}
	return s[:end], len(s) - end
}

func name(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\t':
		return `\t`
	case '\r':
		return `\r`
	}
	return fmt.Sprintf(`\u{%x}`, r)
}

// Visible reports whether r draws something by itself: printable, not a format
// character, not one of the letters, marks and symbols that Unicode draws as
// nothing (DerivedCoreProperties, Default_Ignorable_Code_Point; U+2800).
func Visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(invisible, r)
}

var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034f, Hi: 0x034f, Stride: 1}, // combining grapheme joiner
		{Lo: 0x115f, Hi: 0x1160, Stride: 1}, // Hangul fillers
		{Lo: 0x17b4, Hi: 0x17b5, Stride: 1}, // Khmer inherent vowels
		{Lo: 0x180b, Hi: 0x180f, Stride: 1}, // Mongolian variation selectors
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, // Braille blank
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, // Hangul filler
		{Lo: 0xfe00, Hi: 0xfe0f, Stride: 1}, // variation selectors
		{Lo: 0xffa0, Hi: 0xffa0, Stride: 1}, // halfwidth Hangul filler
		{Lo: 0xfffc, Hi: 0xfffc, Stride: 1}, // object replacement
	},
	R32: []unicode.Range32{{Lo: 0xe0100, Hi: 0xe01ef, Stride: 1}}, // variation selectors
}

// JSON returns the valid JSON data with every character that is not Visible
// written as \uNNNN. The value stays the same, since such characters stand only
// inside strings (RFC 8259 §7); white space between values is kept.
func JSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r < 0x7f || Visible(r):
			out = append(out, data[:n]...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[n:]
	}
	return out
}
