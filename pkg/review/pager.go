package review

import (
	"fmt"
	"strings"

	"bottle/pkg/term"
)

// A pager is a text over the whole screen.
type pager struct {
	title string
	text  []string // as it was written
	top   int
}

const help = `a      approve what is shown, for as long as the bottle runs
f      approve for a time (30m, 8h) or a number of requests (5x)
r      reject: a line to type why, for the agent to read
e      narrow the paths and methods in $EDITOR; then a approves the rest
n p    the next proposal, the one before (also arrows)
o      unfold and fold the others for the same host (also left, right)
space  further down in what is shown; b back; j k by one line
R      edit the routes of this bottle (routesctl edit)
P      edit the allowlist of its pipelock (pipemirror edit)
t      the requests that were refused
m      the last message, whole, and what was left out
^L     draw again      ^Z  stop; fg comes back
q      quit

A key approves only what has been on the screen whole, and not what has come
there only now. What an agent wrote stands behind a bar (|) and is escaped.
!! reaches far, ! further than before; what reaches furthest is at the top,
then what is newest.`

func (s *Screen) openPager(title string, text []string) {
	s.pager = &pager{title: title, text: text}
}

// messages is the last message and what was left out of the list.
func (s *Screen) messages() []string {
	var text []string
	if s.note.text != "" {
		text = strings.Split(strings.TrimRight(s.note.text, "\n"), "\n")
	}
	for _, f := range s.faults {
		text = append(text, "left out: "+f)
	}
	if text == nil {
		text = []string{"no message"}
	}
	return text
}

func (s *Screen) allRefused() []string {
	var text []string
	for _, r := range s.refused.last(maxRefusals) {
		text = append(text, r.text(), "  "+r.Reason)
	}
	if text == nil {
		text = []string{"none since this screen was opened"}
	}
	return text
}

// pagerKey scrolls, and any other key closes.
func (s *Screen) pagerKey(k term.Key) {
	page := max(1, s.height-2)
	switch {
	case k.Name == term.Down || k.Rune == 'j' || k.Name == term.Enter:
		s.pager.top++
	case k.Name == term.Up || k.Rune == 'k':
		s.pager.top--
	case k.Name == term.PageDown || k.Rune == ' ':
		s.pager.top += page
	case k.Name == term.PageUp || k.Rune == 'b':
		s.pager.top -= page
	case k.Name == term.Paste:
	default:
		s.pager = nil
		s.Back(s.now)
	}
}

// lines is the pager on a screen of that size. It keeps top in bounds.
func (p *pager) lines(width, height int) []term.Line {
	var text []term.Line
	for _, l := range p.text {
		for _, part := range term.Wrap(term.Text(l, 64<<10), width) {
			text = append(text, term.Line{{Text: part}})
		}
	}
	room := max(1, height-2)
	p.top = max(0, min(p.top, len(text)-room))
	end := min(len(text), p.top+room)
	lines := []term.Line{rule(p.title, place(p.top, end, len(text), width), width)}
	lines = append(lines, text[p.top:end]...)
	for len(lines) < height-1 {
		lines = append(lines, nil)
	}
	return append(lines, term.Line{{Style: term.Dim, Text: term.Cut("space further, any other key closes", width)}})
}

// place says where in a text one is, "" when all of it is in sight.
func place(from, to, of, width int) string {
	switch {
	case from == 0 && to >= of:
		return ""
	case width < 60:
		return fmt.Sprintf("%d/%d", to, of)
	case to < of:
		return fmt.Sprintf("%d-%d of %d, more below", from+1, to, of)
	}
	return fmt.Sprintf("%d-%d of %d", from+1, to, of)
}
