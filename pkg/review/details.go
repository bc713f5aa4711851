package review

import (
	"fmt"
	"strings"
	"time"

	"bottle/pkg/term"
)

// details is all there is to see of one item, on lines of one width.
type details struct {
	of    string // the key, width and content that it was made for
	lines []term.Line
	must  int // so many of the lines must have been in sight for an approval
}

// maxText bounds one text that is shown, in bytes; all that a proposal can hold
// fits.
const maxText = 256 << 10

// details is made once for an item.
func (s *Screen) details() *details {
	it := s.selected()
	if it == nil {
		s.cache = details{}
		return &s.cache
	}
	of := fmt.Sprintf("%s %d %s", it.key(), s.width, it.Content())
	if s.cache.of != of {
		s.cache = detailsOf(it, s.width)
		s.cache.of = of
	}
	return &s.cache
}

func detailsOf(it *Item, width int) details {
	d := details{}
	if it.Fault != "" {
		d.block("", it.Fault, width, term.Red)
	}
	for _, r := range it.Risks {
		d.block(sign(r.Level), r.Text, width, colour(r.Level))
	}
	if it.Narrow != nil {
		d.block("", "narrowed by you; the agent asked for more", width, term.Bold)
	}
	for _, c := range it.Changes {
		mark, text := "", c
		if len(c) > 2 && c[1] == ' ' {
			mark, text = c[:1], c[2:]
		}
		style := term.Plain
		if mark == "!" {
			style = term.Yellow
		}
		d.block(mark, text, width, style)
	}
	d.must = len(d.lines)
	d.agent("it says", it.Justification, width)
	facts := "filed " + it.Filed.UTC().Format(time.RFC3339)
	d.block("", facts+", "+it.ID, width, term.Dim)
	if it.Client != "" {
		d.agent("client", it.Client, width)
	}
	return d
}

// block is a text of ours with a mark of two columns before its first line, the
// others being indented alike.
func (d *details) block(mark, text string, width int, style term.Style) {
	for _, part := range term.Wrap(term.Text(text, maxText), width-3) {
		d.lines = append(d.lines, term.Line{{Style: style, Text: fmt.Sprintf("%-3s", mark) + part}})
		mark = ""
	}
}

// agent is a text of the agent's behind a bar, which nothing of ours has.
func (d *details) agent(label, text string, width int) {
	d.block("", label+":", width, term.Dim)
	if strings.TrimSpace(text) == "" {
		text = "(nothing)"
	}
	for _, part := range term.Wrap(term.Text(text, maxText), width-5) {
		d.lines = append(d.lines, term.Line{{Style: term.Dim, Text: "   | "}, {Text: part}})
	}
}

// sign is the level in two columns, for terminals without colour.
func sign(level int) string {
	switch {
	case level >= 2:
		return "!!"
	case level == 1:
		return "!"
	}
	return ""
}

func colour(level int) term.Style {
	switch {
	case level >= 2:
		return term.Red
	case level == 1:
		return term.Yellow
	}
	return term.Plain
}
