// Package termtest is a terminal for tests: a pseudo-terminal with a program on
// it, and a screen that understands what pkg/term sends and nothing else.
package termtest

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"bottle/pkg/term"
)

// A Screen is what a terminal shows. A control byte or sequence that pkg/term
// has no business to send is an error of Write.
type Screen struct {
	Width, Height int
	Alternate     bool // the alternate screen is shown
	Wraps         bool // lines wrap at the last column
	Pastes        bool // pastes are marked
	Cursor        bool // the cursor is shown
	Styles        int  // how many SGR sequences with a colour or a style came
	Colours       int  // how many of them with a colour
	Row, Col      int
	Sent          int    // bytes that came
	Before        string // what was written on the main screen

	cells [][]string
	buf   []byte
}

// NewScreen is an empty screen as a shell leaves it.
func NewScreen(width, height int) *Screen {
	s := &Screen{Width: width, Height: height, Wraps: true, Cursor: true}
	s.clear()
	return s
}

// Resize gives the screen another size; what it showed is gone.
func (s *Screen) Resize(width, height int) {
	s.Width, s.Height = width, height
	s.clear()
}

func (s *Screen) clear() {
	s.cells = make([][]string, s.Height)
	for i := range s.cells {
		s.cells[i] = make([]string, s.Width)
	}
}

// String is the lines of the screen, without blanks at their ends.
func (s *Screen) String() string {
	var b strings.Builder
	for _, row := range s.cells {
		var line strings.Builder
		skip := false
		for _, c := range row {
			switch {
			case skip: // the second column of a wide character
				skip = false
			case c == "":
				line.WriteByte(' ')
			default:
				line.WriteString(c)
				skip = term.Columns(c) == 2
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// Write takes in what a program sends.
func (s *Screen) Write(data []byte) (int, error) {
	s.Sent += len(data)
	s.buf = append(s.buf, data...)
	for len(s.buf) > 0 {
		n, err := s.next()
		if err != nil {
			return len(data), err
		}
		if n == 0 {
			break
		}
		s.buf = s.buf[n:]
	}
	return len(data), nil
}

func (s *Screen) next() (int, error) {
	if s.buf[0] == 0x1b {
		return s.sequence()
	}
	if !utf8.FullRune(s.buf) {
		return 0, nil
	}
	r, n := utf8.DecodeRune(s.buf)
	if !s.Alternate {
		s.Before += string(s.buf[:n])
		return n, nil
	}
	w := term.Width(r)
	if w < 0 || r == utf8.RuneError {
		return 0, fmt.Errorf("the character %U was sent", r)
	}
	return n, s.put(string(r), w)
}

// put draws a character at the cursor.
func (s *Screen) put(text string, width int) error {
	if s.Row >= s.Height {
		return fmt.Errorf("%q was sent to row %d of %d", text, s.Row, s.Height)
	}
	if width == 0 {
		if s.Col > 0 {
			s.cells[s.Row][s.Col-1] += text
		}
		return nil
	}
	if s.Col+width > s.Width {
		return fmt.Errorf("%q was sent beyond column %d of row %d", text, s.Width, s.Row)
	}
	s.cells[s.Row][s.Col] = text
	for i := 1; i < width; i++ {
		s.cells[s.Row][s.Col+i] = ""
	}
	s.Col += width
	return nil
}

// sequence takes a control sequence.
func (s *Screen) sequence() (int, error) {
	if len(s.buf) < 2 {
		return 0, nil
	}
	if s.buf[1] != '[' {
		return 0, fmt.Errorf("%q was sent", s.buf[:2])
	}
	for i := 2; i < len(s.buf); i++ {
		if c := s.buf[i]; c >= 0x40 && c <= 0x7e {
			return i + 1, s.control(string(s.buf[2:i]), c)
		}
	}
	return 0, nil
}

func (s *Screen) control(params string, last byte) error {
	switch name := params + string(last); {
	case last == 'H':
		row, col, _ := strings.Cut(params, ";")
		r, err1 := strconv.Atoi(row)
		c, err2 := strconv.Atoi(col)
		if err1 != nil || err2 != nil || r < 1 || c < 1 || r > s.Height || c > s.Width {
			return fmt.Errorf("the cursor was sent to %q of %dx%d", params, s.Width, s.Height)
		}
		s.Row, s.Col = r-1, c-1
	case name == "2J":
		s.clear()
	case name == "K":
		for c := s.Col; c < s.Width; c++ {
			s.cells[s.Row][c] = ""
		}
	case last == 'm':
		if params != "0" {
			s.Styles++
		}
		if len(params) == 2 {
			s.Colours++
		}
	case last == 'h' || last == 'l':
		return s.mode(params, last == 'h')
	default:
		return fmt.Errorf("the sequence %q was sent", name)
	}
	return nil
}

func (s *Screen) mode(params string, on bool) error {
	switch params {
	case "?1049":
		s.Alternate = on
		s.clear()
	case "?7":
		s.Wraps = on
	case "?25":
		s.Cursor = on
	case "?2004":
		s.Pastes = on
	default:
		return fmt.Errorf("the mode %q was set", params)
	}
	return nil
}
