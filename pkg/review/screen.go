package review

import (
	"fmt"
	"slices"
	"time"

	"bottle/pkg/term"
)

// A Screen is the state of the operator's screen. Its methods are not safe for
// use at the same time.
type Screen struct {
	width, height int
	now           time.Time

	items   []Item
	faults  []string // what lies in the queues and is no proposal
	bottles []string
	read    bool // the first news has come
	rows    []row
	open    map[string]bool // groups that are unfolded

	at     string // key of the selected item, "" when there is none
	index  int    // its row
	top    int    // first row of the list that is shown
	scroll int    // first line of the details that is shown
	seen   int    // how many lines of the details were shown
	shown  string // the details that seen counts, see details.of
	moved  time.Time
	cache  details

	refused refusals
	job     string // what is being done, "" for nothing
	note    note
	prompt  *prompt
	pager   *pager
}

// New is a screen of that size.
func New(width, height int, now time.Time) *Screen {
	s := &Screen{width: width, height: height, now: now, open: map[string]bool{}}
	s.note = note{text: "reading the queues ..."}
	return s
}

// A note is the result of the last action.
type note struct {
	text  string
	style term.Style
}

// Resize gives the screen another size.
func (s *Screen) Resize(width, height int) {
	if width == s.width && height == s.height {
		return
	}
	s.width, s.height = width, height
	s.seen = 0 // the lines are other lines now
	s.Back(s.now)
	s.settle()
}

// Tick tells the time.
func (s *Screen) Tick(now time.Time) { s.now = now }

// Set replaces what waits: the items of the bottles, and faults that say what
// was left out. The selection stays on its item wherever that goes.
func (s *Screen) Set(items []Item, bottles, faults []string, now time.Time) {
	s.now = now
	if !s.read {
		s.read, s.note = true, note{}
	}
	was := s.selected()
	s.items, s.bottles, s.faults = slices.Clone(items), bottles, faults
	if was != nil && was.Narrow != nil {
		s.keepNarrow(*was)
	}
	order(s.items)
	s.rows = rowsOf(s.items, s.open)
	is := s.find()
	switch {
	case is == nil:
		s.missing(was)
	case was != nil && was.Content() != is.Content():
		s.scroll, s.moved = 0, now
		if was.Digest != "" && is.Digest != "" {
			s.say(term.Yellow, "what is shown is new: the table of %s or the proposal has changed", is.Bottle)
			s.dropPrompt()
		}
	}
	s.settle()
}

// keepNarrow puts the operator's version of an item back in place of what news
// brings, as long as it is about the same.
func (s *Screen) keepNarrow(was Item) {
	for i := range s.items {
		if s.items[i].key() == was.key() && s.items[i].Digest == was.Digest {
			s.items[i] = was
		}
	}
}

// Narrowed replaces a proposal by what the operator has left of it.
func (s *Screen) Narrowed(it Item) {
	for i := range s.items {
		if s.items[i].key() == it.key() {
			s.items[i] = it
			s.scroll = 0
			s.say(term.Plain, "narrowed; a approves it as it is shown now, e again to change it")
		}
	}
	s.settle()
}

// missing moves the selection off an item that is gone. What comes into its
// place was not chosen, and the operator may be about to press a key.
func (s *Screen) missing(was *Item) {
	if was != nil && s.prompt != nil {
		s.say(term.Yellow, "%s was decided meanwhile, or withdrawn", was.ID)
		s.dropPrompt()
	}
	s.at, s.scroll, s.moved = "", 0, s.now
	if len(s.rows) > 0 {
		s.index = min(s.index, len(s.rows)-1)
		s.at = s.rows[s.index].item.key()
	}
}

// find sets index to the row of the selected item and returns it, nil if it is
// gone. One that was folded away is found under its group's first.
func (s *Screen) find() *Item {
	if s.at == "" {
		return nil
	}
	for i := range s.rows {
		if s.rows[i].item.key() == s.at {
			s.index = i
			return s.rows[i].item
		}
	}
	for i := range s.items {
		if s.items[i].key() == s.at {
			s.open[s.items[i].group()] = true // it stays in sight
			s.rows = rowsOf(s.items, s.open)
			return s.find()
		}
	}
	return nil
}

// selected is the item that the keys are about.
func (s *Screen) selected() *Item {
	if s.at == "" || s.index >= len(s.rows) {
		return nil
	}
	return s.rows[s.index].item
}

// Refused adds refused requests to the tail.
func (s *Screen) Refused(list ...Refusal) {
	for _, r := range list {
		s.refused.add(r)
	}
}

// Back says that the screen is looked at again, after something else was there.
func (s *Screen) Back(now time.Time) { s.now, s.moved = now, now }

// Begin says what is being done in the background; until Done no other action
// that changes a bottle begins.
func (s *Screen) Begin(what string) {
	s.job = what
	s.say(term.Plain, "%s ...", what)
}

// Done tells the result of what was begun, whole.
func (s *Screen) Done(ok bool, text string) {
	s.job = ""
	style := term.Green
	if !ok {
		style = term.Red
	}
	s.note = note{text, style}
}

// Busy reports whether an action is under way.
func (s *Screen) Busy() bool { return s.job != "" }

// Say shows a message in place of the last result.
func (s *Screen) Say(text string) { s.note = note{text: text} }

func (s *Screen) say(style term.Style, format string, args ...any) {
	s.note = note{fmt.Sprintf(format, args...), style}
}

// settle brings scrolling back into its bounds and counts what is in sight as
// seen. It comes after every change.
func (s *Screen) settle() {
	l := s.layout()
	switch {
	case s.index < s.top:
		s.top = s.index
	case s.index >= s.top+l.list:
		s.top = s.index - l.list + 1
	}
	s.top = max(0, min(s.top, len(s.rows)-l.list))
	d := s.details()
	s.scroll = max(0, min(s.scroll, len(d.lines)-l.body))
	it := s.selected()
	if it == nil || s.pager != nil || s.tiny() {
		return
	}
	if s.shown != d.of {
		s.shown, s.seen = d.of, 0
	}
	if s.scroll <= s.seen {
		s.seen = max(s.seen, min(s.scroll+l.body, len(d.lines)))
	}
}
