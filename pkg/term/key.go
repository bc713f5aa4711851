package term

import (
	"strings"
	"unicode/utf8"

	"bottle/pkg/escape"
)

// A Name tells the keys apart.
type Name int

// The keys. What a terminal sends beyond these is dropped whole, so that no part
// of it passes for a letter.
const (
	Rune Name = iota // a character, see Key.Rune
	Enter
	Tab
	Backspace
	Delete
	Escape
	Up
	Down
	Left
	Right
	Home
	End
	PageUp
	PageDown
	Control // with the letter in Key.Rune, as 'c' for ^C
	Paste   // text that was pasted, see Key.Text
)

// A Key is one key that was pressed, or one text that was pasted.
type Key struct {
	Name Name
	Rune rune
	Text string
}

// maxPaste bounds a pasted text in bytes; maxSequence an escape sequence.
const maxPaste, maxSequence = 64 << 10, 64

// A Decoder makes keys of the bytes of a terminal, however they are split. The
// zero Decoder is ready.
type Decoder struct {
	buf     []byte
	pasting bool
	paste   []byte
	escaped bool // an Escape was made of a lone ESC: the rest of a sequence may be late
}

// Pending reports whether bytes are held back that may be the beginning of more.
func (d *Decoder) Pending() bool { return len(d.buf) > 0 }

// Feed takes in bytes and returns the keys that are complete.
func (d *Decoder) Feed(data []byte) []Key {
	d.buf = append(d.buf, data...)
	var keys []Key
	for len(d.buf) > 0 {
		k, n := d.next()
		if n == 0 {
			break
		}
		d.buf = d.buf[n:]
		if k != nil {
			keys = append(keys, *k)
		}
	}
	return keys
}

// Flush says that nothing more came for a while: a lone ESC is the key Escape,
// any other beginning is dropped. A paste goes on.
func (d *Decoder) Flush() []Key {
	if d.pasting || len(d.buf) == 0 {
		return nil
	}
	lone := len(d.buf) == 1 && d.buf[0] == 0x1b
	d.buf = nil
	if !lone {
		return nil
	}
	d.escaped = true
	return []Key{{Name: Escape}}
}

// next takes one key off the buffer: how many bytes it takes, 0 when more are
// needed, and nil for what is no key.
func (d *Decoder) next() (*Key, int) {
	if d.pasting {
		return d.pasted()
	}
	late := d.escaped && (d.buf[0] == '[' || d.buf[0] == 'O')
	d.escaped = false
	if late {
		// A slow line has split an arrow key after its ESC.
		d.buf = append([]byte{0x1b}, d.buf...)
	}
	switch c := d.buf[0]; {
	case c == 0x1b:
		return d.sequence()
	case c == '\r' || c == '\n':
		return &Key{Name: Enter}, 1
	case c == '\t':
		return &Key{Name: Tab}, 1
	case c == 0x7f || c == 0x08:
		return &Key{Name: Backspace}, 1
	case c == 0:
		return nil, 1
	case c < ' ':
		return &Key{Name: Control, Rune: rune(c) | 0x40 | 0x20}, 1
	}
	if !utf8.FullRune(d.buf) {
		return nil, 0
	}
	r, n := utf8.DecodeRune(d.buf)
	if r == utf8.RuneError || !escape.Visible(r) {
		return nil, n
	}
	return &Key{Name: Rune, Rune: r}, n
}

// sequence takes an escape sequence (ECMA-48 §5.4): CSI with its parameters, or
// SS3, or ESC and one character, which is Alt and no key of ours.
func (d *Decoder) sequence() (*Key, int) {
	b := d.buf
	if len(b) < 2 {
		return nil, 0
	}
	switch b[1] {
	case 0x1b:
		return &Key{Name: Escape}, 1
	case 'O':
		if len(b) < 3 {
			return nil, 0
		}
		return named("", b[2]), 3
	case '[':
	default:
		if !utf8.FullRune(b[1:]) {
			return nil, 0
		}
		_, n := utf8.DecodeRune(b[1:])
		return nil, 1 + n
	}
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case c == 0x1b || i > maxSequence: // broken off
			return nil, i
		case c == '[' && i == 2: // the function keys of the Linux console
			if len(b) < 4 {
				return nil, 0
			}
			return nil, 4
		case c >= 0x40 && c <= 0x7e:
			if c == '~' && string(b[2:i]) == "200" {
				d.pasting = true
				return nil, i + 1
			}
			return named(string(b[2:i]), c), i + 1
		}
	}
	return nil, 0
}

// named is the key of a sequence with these parameters and this last byte.
func named(params string, last byte) *Key {
	if last == '~' {
		first, _, _ := strings.Cut(params, ";")
		switch first {
		case "1", "7":
			return &Key{Name: Home}
		case "4", "8":
			return &Key{Name: End}
		case "3":
			return &Key{Name: Delete}
		case "5":
			return &Key{Name: PageUp}
		case "6":
			return &Key{Name: PageDown}
		}
		return nil
	}
	names := map[byte]Name{'A': Up, 'B': Down, 'C': Right, 'D': Left, 'H': Home, 'F': End, 'M': Enter}
	if n, ok := names[last]; ok && (last != 'M' || params == "") {
		return &Key{Name: n}
	}
	return nil
}

// endOfPaste is what the terminal sends after a pasted text.
const endOfPaste = "\x1b[201~"

// pasted takes what was pasted up to its end.
func (d *Decoder) pasted() (*Key, int) {
	i := strings.Index(string(d.buf), endOfPaste)
	n := i
	if i < 0 {
		n = max(0, len(d.buf)-len(endOfPaste)+1) // the end may be split
	}
	d.paste = append(d.paste, d.buf[:min(n, maxPaste-len(d.paste))]...)
	if i < 0 {
		return nil, n
	}
	k := &Key{Name: Paste, Text: strings.ToValidUTF8(string(d.paste), "")}
	d.pasting, d.paste = false, nil
	return k, i + len(endOfPaste)
}
