package review

import (
	"fmt"
	"strings"
	"time"

	"bottle/pkg/term"
)

// The smallest screen on which a decision can be taken.
const minWidth, minHeight = 20, 7

func (s *Screen) tiny() bool { return s.width < minWidth || s.height < minHeight }

// A layout is how many lines each part of the screen has.
type layout struct {
	list, body int // rows of the list, lines of the details below their rule
	tail       int // refused requests, and where there is room a rule above
	note       int // the message, or the line that is typed
}

// layout divides the height: one line for the title, one for the keys, one for
// the rule of the details.
func (s *Screen) layout() layout {
	l := layout{note: max(1, min(len(s.noteLines()), s.height/3))}
	room := s.height - 3 - l.note
	switch {
	case len(s.refused.list) == 0:
	case s.height >= 20:
		l.tail = 1 + min(3, len(s.refused.list))
	case s.height >= 12:
		l.tail = 1
	}
	l.tail = min(l.tail, max(0, room-6))
	room -= l.tail
	l.list = max(1, min(len(s.rows), room/3))
	l.body = max(0, room-l.list)
	return l
}

// Lines is the screen, and where the cursor is while something is typed.
func (s *Screen) Lines() ([]term.Line, term.Cursor) {
	if s.tiny() {
		text := fmt.Sprintf("%dx%d is too small; wanted %dx%d; q quits", s.width, s.height, minWidth, minHeight)
		var lines []term.Line
		for _, part := range term.Wrap(text, s.width) {
			lines = append(lines, term.Line{{Text: part}})
		}
		return lines[:min(len(lines), s.height)], term.Cursor{}
	}
	if s.pager != nil {
		return s.pager.lines(s.width, s.height), term.Cursor{}
	}
	l := s.layout()
	lines := append(make([]term.Line, 0, s.height), s.title())
	lines = append(lines, s.listLines(l)...)
	lines = append(lines, s.bodyLines(l)...)
	lines = append(lines, s.tailLines(l)...)
	cursor := term.Cursor{}
	if s.prompt != nil {
		line, col := s.prompt.line(s.width)
		cursor = term.Cursor{Shown: true, Row: len(lines), Col: col}
		lines = append(lines, line)
		lines = append(lines, s.noteLines()[:l.note-1]...)
	} else {
		lines = append(lines, s.shownNote(l.note)...)
	}
	return append(lines, s.keysLine()), cursor
}

// title counts what waits.
func (s *Screen) title() term.Line {
	left := fmt.Sprintf("superviser review: %s in %s", count(len(s.items), "proposal", "no proposal"), count(len(s.bottles), "bottle", "no bottle"))
	if s.width < 60 {
		left = fmt.Sprintf("%d waiting, %s", len(s.items), count(len(s.bottles), "bottle", "no bottle"))
	}
	if n := len(s.faults); n > 0 {
		left += fmt.Sprintf(", %d left out (m)", n)
	}
	text := term.Cut(left, s.width)
	return term.Line{{Style: term.Reverse, Text: text + blanks(s.width-len(text))}}
}

func count(n int, one, none string) string {
	switch n {
	case 0:
		return none
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func blanks(n int) string { return strings.Repeat(" ", max(0, n)) }

// listLines is the part of the list that is in sight.
func (s *Screen) listLines(l layout) []term.Line {
	lines := make([]term.Line, l.list)
	for i := range lines {
		if at := s.top + i; at < len(s.rows) {
			lines[i] = s.rowLine(s.rows[at], at == s.index)
		} else if len(s.rows) == 0 && s.read {
			lines[i] = term.Line{{Style: term.Dim, Text: term.Cut("  nothing waits; what is proposed appears here", s.width)}}
		}
	}
	return lines
}

// rowLine is one item of the list. The bottle's name, the host and the kinds of
// the risks are narrow by their form, or escaped.
func (s *Screen) rowLine(r row, selected bool) term.Line {
	it := r.item
	mark := " "
	if selected {
		mark = ">"
	}
	text := fmt.Sprintf("%s%-2s ", mark, sign(it.Level))
	if s.width >= 50 {
		text += fmt.Sprintf("%4s %-12s ", age(s.now.Sub(it.Filed)), term.Cut(term.Text(it.Bottle, 100), 12))
	}
	if r.inner {
		text += "  "
	}
	subject := term.Text(it.Subject, 300)
	if r.folded > 0 {
		subject += fmt.Sprintf(" +%d", r.folded)
	}
	kinds := strings.Join(kinds(it.Risks), ", ")
	if s.width >= 70 && kinds != "" {
		room := max(20, (s.width-len(text))/2)
		subject = term.Cut(subject, room)
		subject += blanks(room-term.Columns(subject)) + " "
		text += subject + term.Text(kinds, 300)
	} else {
		text += subject
	}
	style := colour(it.Level)
	text = term.Cut(text, s.width)
	if selected {
		style = term.Reverse
		text += blanks(s.width - term.Columns(text))
	}
	return term.Line{{Style: style, Text: text}}
}

// kinds is the first word or two of each risk, without doubles.
func kinds(risks []Risk) []string {
	var list []string
	for _, r := range risks {
		k, _, ok := strings.Cut(r.Text, ":")
		if ok && len(k) < 24 && (len(list) == 0 || list[len(list)-1] != k) {
			list = append(list, k)
		}
	}
	return list
}

// age is a duration in four columns. It changes once a minute at most, since
// each change is sent to the terminal.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", min(999, int(d.Hours()/24)))
}

// rule divides parts of the screen: "-- left ------ right --".
func rule(left, right string, width int) term.Line {
	if right != "" && width >= 60 {
		right = " " + right + " --"
	}
	text := term.Cut("-- "+left+" ", max(0, width-len(right)))
	fill := strings.Repeat("-", max(0, width-term.Columns(text)-len(right)))
	return term.Line{{Style: term.Dim, Text: text + fill + right}}
}

// bodyLines is the rule and the details.
func (s *Screen) bodyLines(l layout) []term.Line {
	it := s.selected()
	lines := make([]term.Line, 1+l.body)
	if it == nil {
		lines[0] = rule("keys: ? for help", "", s.width)
		return lines
	}
	d := s.details()
	end := min(len(d.lines), s.scroll+l.body)
	what := term.Text(it.Subject, 300) + " in " + term.Text(it.Bottle, 100)
	lines[0] = rule(what, place(s.scroll, end, len(d.lines), s.width), s.width)
	copy(lines[1:], d.lines[s.scroll:end])
	return lines
}

// tailLines is what was refused last.
func (s *Screen) tailLines(l layout) []term.Line {
	if l.tail == 0 {
		return nil
	}
	lines, n := make([]term.Line, 0, l.tail), l.tail
	if n > 1 {
		n--
		lines = append(lines, rule("refused (t: all)", "", s.width))
	}
	last := s.refused.last(n)
	for i := range last {
		prefix := ""
		if l.tail == 1 {
			prefix = "refused: "
		}
		lines = append(lines, term.Line{{Style: term.Dim, Text: term.Cut(prefix+term.Text(last[i].text(), 2000), s.width)}})
	}
	for len(lines) < l.tail {
		lines = append(lines, nil)
	}
	return lines
}

// noteLines is the message in lines of the screen's width. With a prompt there
// is one more, for the typed line.
func (s *Screen) noteLines() []term.Line {
	var lines []term.Line
	for l := range strings.SplitSeq(strings.TrimRight(s.note.text, "\n"), "\n") {
		for _, part := range term.Wrap(term.Text(l, maxText), s.width) {
			lines = append(lines, term.Line{{Style: s.note.style, Text: part}})
		}
	}
	if s.prompt != nil && s.note.text != "" {
		lines = append(lines, nil)
	}
	return lines
}

// shownNote is as much of the message as has room; what is cut off is told.
func (s *Screen) shownNote(room int) []term.Line {
	lines := s.noteLines()
	if len(lines) <= room {
		return lines
	}
	lines = lines[:room]
	last := lines[room-1]
	const more = " ... m: all of it"
	text := term.Cut(last[0].Text, max(0, s.width-len(more)))
	lines[room-1] = term.Line{{Style: last[0].Style, Text: text}, {Style: term.Bold, Text: more}}
	return lines
}

// keysLine is the keys that fit, the last two always among them.
func (s *Screen) keysLine() term.Line {
	if s.prompt != nil {
		return term.Line{{Style: term.Dim, Text: term.Cut("enter: do it   escape: leave it", s.width)}}
	}
	const last = "? help  q quit"
	text := ""
	for _, k := range []string{"a approve", "r reject", "f terms", "e narrow", "R routes", "P pipelock", "n/p next"} {
		if len(text)+len(k)+2+len(last) <= s.width {
			text += k + "  "
		}
	}
	return term.Line{{Style: term.Dim, Text: text + last}}
}
