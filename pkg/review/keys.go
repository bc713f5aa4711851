package review

import (
	"slices"
	"strings"
	"time"

	"bottle/pkg/term"
)

// A Do is what the loop shall do.
type Do int

// What a key can ask for.
const (
	Nothing Do = iota
	Quit
	Suspend
	Redraw
	Approve
	Reject
	EditProposal
	EditRoutes
	EditPipelock
)

// An Action is what a key asks for, and of what: exactly what was on the screen.
type Action struct {
	Do     Do
	Item   Item          // as it was shown
	Hold   time.Duration // of Approve: 0 is without end
	Uses   int           // of Approve: 0 is any number of requests
	Reason string        // of Reject
}

// settled is how long something must have been on the screen that came there by
// itself, before a key approves it.
const settled = 700 * time.Millisecond

// Key handles one key that was pressed at now.
func (s *Screen) Key(k term.Key, now time.Time) Action {
	s.now = now
	var a Action
	switch {
	case s.prompt != nil:
		a = s.promptKey(k)
	case k.Name == term.Control:
		a = s.controlKey(k.Rune)
	case s.tiny():
		a = s.tinyKey(k)
	case s.pager != nil:
		s.pagerKey(k)
	case k.Name == term.Paste:
		s.say(term.Yellow, "a paste is no key; press r first to paste a reason")
	default:
		a = s.browseKey(k)
	}
	s.settle()
	return a
}

func (s *Screen) controlKey(r rune) Action {
	switch r {
	case 'c':
		return Action{Do: Quit}
	case 'z':
		return s.whenIdle(Action{Do: Suspend})
	case 'l':
		return Action{Do: Redraw}
	case 'n':
		s.move(1)
	case 'p':
		s.move(-1)
	case 'f':
		s.scroll += s.layout().body
	case 'b':
		s.scroll -= s.layout().body
	}
	return Action{}
}

func (s *Screen) tinyKey(k term.Key) Action {
	if k.Rune == 'q' {
		return Action{Do: Quit}
	}
	return Action{}
}

func (s *Screen) browseKey(k term.Key) Action {
	page := max(1, s.layout().body-1)
	switch k.Name {
	case term.Up:
		s.move(-1)
	case term.Down:
		s.move(1)
	case term.Home:
		s.move(-len(s.rows))
	case term.End:
		s.move(len(s.rows))
	case term.PageDown:
		s.scroll += page
	case term.PageUp:
		s.scroll -= page
	case term.Right, term.Left:
		s.unfold(k.Name == term.Right)
	case term.Rune:
		return s.letter(k.Rune, page)
	}
	return Action{}
}

func (s *Screen) letter(r rune, page int) Action {
	switch r {
	case 'n':
		s.move(1)
	case 'p':
		s.move(-1)
	case ' ':
		s.scroll += page
	case 'b':
		s.scroll -= page
	case 'j':
		s.scroll++
	case 'k':
		s.scroll--
	case 'o':
		s.unfold(true)
	case 'm':
		s.openPager("message", s.messages())
	case 't':
		s.openPager("refused requests, the newest last", s.allRefused())
	case '?', 'h':
		s.openPager("keys", strings.Split(help, "\n"))
	case 'q':
		return Action{Do: Quit}
	case 'R':
		return s.edit(EditRoutes, "edit the routes of bottle")
	case 'P':
		return s.edit(EditPipelock, "edit the pipelock of bottle")
	default:
		return s.decide(r)
	}
	return Action{}
}

// decide handles the keys that are about the selected item or its bottle.
func (s *Screen) decide(r rune) Action {
	it := s.selected()
	if it == nil {
		if strings.ContainsRune("afre", r) {
			s.say(term.Yellow, "nothing is selected: no proposal waits")
		}
		return Action{}
	}
	switch r {
	case 'a':
		if s.mayApprove(it) {
			return s.whenIdle(Action{Do: Approve, Item: *it})
		}
	case 'f':
		if s.mayApprove(it) {
			s.prompt = newPrompt("approve for (30m, 8h, 5x)", *it, s.approveFor)
		}
	case 'r':
		s.prompt = newPrompt("reject, because", *it, s.reject)
	case 'e':
		if it.Digest == "" {
			s.say(term.Red, "there is nothing to narrow: %s", it.Fault)
			return Action{}
		}
		return s.whenIdle(Action{Do: EditProposal, Item: *it})
	}
	return Action{}
}

// edit is about the selected item's bottle; where nothing is selected, the only
// one, or one whose name is typed.
func (s *Screen) edit(do Do, label string) Action {
	if it := s.selected(); it != nil {
		return s.whenIdle(Action{Do: do, Item: *it})
	}
	if len(s.bottles) == 1 {
		return s.whenIdle(Action{Do: do, Item: Item{Bottle: s.bottles[0]}})
	}
	s.prompt = newPrompt(label, Item{}, func(p *prompt) Action {
		name := strings.TrimSpace(string(p.text))
		if !slices.Contains(s.bottles, name) {
			s.say(term.Yellow, "no bottle %q; wanted one of: %s", name, strings.Join(s.bottles, " "))
			return Action{}
		}
		s.prompt = nil
		return s.whenIdle(Action{Do: do, Item: Item{Bottle: name}})
	})
	return Action{}
}

// mayApprove reports whether the operator has seen what an approval would do:
// all of it, and not only since this moment.
func (s *Screen) mayApprove(it *Item) bool {
	d := s.details()
	switch {
	case it.Digest == "":
		s.say(term.Red, "it cannot be approved: %s", it.Fault)
	case s.now.Sub(s.moved) < settled:
		s.say(term.Yellow, "this has only now come on the screen; look, then press the key again")
	case s.seen < d.must:
		s.say(term.Yellow, "there is more to see before you approve: press space, then the key again")
	default:
		return true
	}
	return false
}

// whenIdle is a, unless something is under way that it would disturb.
func (s *Screen) whenIdle(a Action) Action {
	if s.job == "" {
		return a
	}
	s.say(term.Yellow, "%s ... wait until that is done", s.job)
	return Action{}
}

// move selects the row n further down.
func (s *Screen) move(n int) {
	if len(s.rows) == 0 {
		return
	}
	i := max(0, min(s.index+n, len(s.rows)-1))
	if i == s.index {
		return
	}
	s.index, s.at, s.scroll, s.moved = i, s.rows[i].item.key(), 0, time.Time{}
	s.note = note{}
}

// unfold shows or hides the others of the selected item's group.
func (s *Screen) unfold(open bool) {
	it := s.selected()
	if it == nil {
		return
	}
	g := it.group()
	if open && s.open[g] {
		open = false // o again
	}
	if !open {
		delete(s.open, g)
		for i := range s.items {
			if s.items[i].group() == g {
				s.at = s.items[i].key()
				break
			}
		}
	} else {
		s.open[g] = true
	}
	s.rows = rowsOf(s.items, s.open)
	s.find()
}
