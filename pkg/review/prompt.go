package review

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"bottle/pkg/escape"
	"bottle/pkg/term"
)

// A prompt is a line that the operator types, about one item.
type prompt struct {
	label string
	item  Item
	text  []rune
	at    int // the cursor
	done  func(*prompt) Action
}

// maxTyped bounds what is typed, in characters.
const maxTyped = 1000

func newPrompt(label string, it Item, done func(*prompt) Action) *prompt {
	return &prompt{label: label, item: it, done: done}
}

func (s *Screen) dropPrompt() { s.prompt = nil }

// promptKey handles a key while a line is typed.
func (s *Screen) promptKey(k term.Key) Action {
	p := s.prompt
	switch k.Name {
	case term.Enter:
		return p.done(p)
	case term.Escape:
		s.prompt, s.note = nil, note{text: "nothing was decided"}
	case term.Rune:
		p.insert(string(k.Rune))
	case term.Paste:
		p.insert(strings.Join(strings.Fields(k.Text), " "))
	case term.Control:
		return s.promptControl(k.Rune)
	default:
		p.edit(k.Name)
	}
	return Action{}
}

func (s *Screen) promptControl(r rune) Action {
	p := s.prompt
	switch r {
	case 'c', 'g':
		s.prompt, s.note = nil, note{text: "nothing was decided"}
	case 'u':
		p.text, p.at = p.text[p.at:], 0
	case 'k':
		p.text = p.text[:p.at]
	case 'w':
		end := p.at
		for p.at > 0 && p.text[p.at-1] == ' ' {
			p.at--
		}
		for p.at > 0 && p.text[p.at-1] != ' ' {
			p.at--
		}
		p.text = append(p.text[:p.at], p.text[end:]...)
	case 'a':
		p.at = 0
	case 'e':
		p.at = len(p.text)
	case 'l':
		return Action{Do: Redraw}
	case 'z':
		return s.whenIdle(Action{Do: Suspend})
	}
	return Action{}
}

// insert puts text where the cursor is, without what is not plainly visible.
func (p *prompt) insert(text string) {
	var typed []rune
	for _, r := range text {
		if escape.Visible(r) || unicode.Is(unicode.M, r) {
			typed = append(typed, r)
		}
	}
	typed = typed[:min(len(typed), max(0, maxTyped-len(p.text)))]
	rest := append(typed, p.text[p.at:]...)
	p.text = append(p.text[:p.at:p.at], rest...)
	p.at += len(typed)
}

func (p *prompt) edit(name term.Name) {
	switch name {
	case term.Left:
		p.at = max(0, p.at-1)
	case term.Right:
		p.at = min(len(p.text), p.at+1)
	case term.Home:
		p.at = 0
	case term.End:
		p.at = len(p.text)
	case term.Backspace:
		if p.at > 0 {
			p.text = append(p.text[:p.at-1], p.text[p.at:]...)
			p.at--
		}
	case term.Delete:
		if p.at < len(p.text) {
			p.text = append(p.text[:p.at], p.text[p.at+1:]...)
		}
	}
}

// line is the prompt on a line of so many columns, and the cursor's column. Of a
// long text the part before the cursor stays in sight.
func (p *prompt) line(width int) (term.Line, int) {
	label := p.label + ": "
	room := max(4, width-len(label)-1)
	before, after := p.text[:p.at], p.text[p.at:]
	for len(before) > 0 && term.Columns(term.Text(string(before), 0)) > room {
		before = before[1:]
	}
	shown := term.Text(string(before), 0)
	return term.Line{{Style: term.Bold, Text: label}, {Text: shown + term.Text(string(after), 0)}}, len(label) + term.Columns(shown)
}

// reject is the end of the line that gives a reason.
func (s *Screen) reject(p *prompt) Action {
	reason := strings.TrimSpace(string(p.text))
	if reason == "" {
		s.say(term.Yellow, "a reason is wanted, the agent reads it; escape to leave it")
		return Action{}
	}
	a := s.whenIdle(Action{Do: Reject, Item: p.item, Reason: reason})
	if a.Do != Nothing {
		s.prompt = nil
	}
	return a
}

// approveFor is the end of the line that says for how long, or how often.
func (s *Screen) approveFor(p *prompt) Action {
	a := Action{Do: Approve, Item: p.item}
	for _, w := range strings.Fields(string(p.text)) {
		times, isCount := strings.CutSuffix(w, "x")
		var err error
		if isCount {
			a.Uses, err = strconv.Atoi(times)
		} else {
			a.Hold, err = time.ParseDuration(w)
		}
		if err != nil || a.Uses < 0 || a.Hold < 0 {
			a.Uses, a.Hold = 0, 0
			break
		}
	}
	if a.Uses == 0 && a.Hold == 0 {
		s.say(term.Yellow, "%q is no term; wanted 30m or 8h, or 5x for five requests; escape to leave it", string(p.text))
		return Action{}
	}
	if a = s.whenIdle(a); a.Do != Nothing {
		s.prompt = nil
	}
	return a
}
