package review

import (
	"strings"
	"testing"
	"time"

	"bottle/pkg/term"
)

// approved is the ID and digest of what a key approves, "" for nothing.
func approved(a Action) string {
	if a.Do != Approve {
		return ""
	}
	return a.Item.Bottle + " " + a.Item.ID + " " + a.Item.Digest
}

func TestApprove(t *testing.T) {
	s := screen(80, 24, some())
	if got, want := approved(press(s, "a")), "web aaaaaaaaaaaa-1 digest of aaaaaaaaaaaa-1"; got != want {
		t.Errorf("a: %q; want %q", got, want)
	}
	if got, want := approved(press(s, "na")), "web bbbbbbbbbbbb-1 digest of bbbbbbbbbbbb-1"; got != want {
		t.Errorf("n, a: %q; want %q", got, want)
	}
	a := press(s, "f8h 5x<enter>")
	if approved(a) == "" || a.Hold != 8*time.Hour || a.Uses != 5 {
		t.Errorf("f: %+v", a)
	}
	for _, bad := range []string{"", "x", "8", "-1h", "0x", "1h y"} {
		if a := press(s, "f"+bad+"<enter>"); a.Do != Nothing || !strings.Contains(s.note.text, "is no term") {
			t.Errorf("f %q: %+v, %q", bad, a, s.note.text)
		}
		press(s, "<escape>")
	}
}

func TestReject(t *testing.T) {
	s := screen(80, 24, some())
	if a := press(s, "r  <enter>"); a.Do != Nothing || s.prompt == nil {
		t.Errorf("rejected without a reason: %+v", a)
	}
	if a := press(s, "noo<backspace>, quit<enter>"); a.Do != Reject || a.Reason != "no, quit" || a.Item.ID != "aaaaaaaaaaaa-1" {
		t.Errorf("%+v", a)
	}
	if a := press(s, "rno<escape>"); a.Do != Nothing || s.prompt != nil {
		t.Errorf("escape: %+v", a)
	}
	press(s, "r")
	s.Key(term.Key{Name: term.Paste, Text: "one\ntwo\x1b[2J\r"}, s.now)
	if got := string(s.prompt.text); got != "one two[2J" {
		t.Errorf("pasted %q", got)
	}
}

// TestNotWhatIsNew: a key that was meant for another screen approves nothing.
func TestNotWhatIsNew(t *testing.T) {
	at := func(s *Screen, after time.Duration) string {
		return approved(s.Key(term.Key{Rune: 'a'}, s.now.Add(after)))
	}
	fresh := func() *Screen { s := screen(80, 24, some()); s.Tick(noon.Add(time.Minute)); return s }

	s := fresh()
	s.Set(some()[:2], nil, nil, s.now) // it is gone, another is in its place
	if got := at(s, settled/2); got != "" {
		t.Errorf("approved %s, which had come there by itself", got)
	}
	if got, want := at(s, settled), "web cccccccccccc-1 digest of cccccccccccc-1"; got != want {
		t.Errorf("a moment later: %q, want %q", got, want)
	}

	s = fresh()
	changed := some()
	changed[2].Digest = "another"
	s.Set(changed, nil, nil, s.now)
	if got := at(s, settled/2); got != "" {
		t.Errorf("approved %s, whose table had changed", got)
	}

	s = fresh()
	worse := append(some(), item("eeeeeeeeeeee-1", "worse.example", 3, 0, "x: y"))
	s.Set(worse, nil, nil, s.now) // the list moves, the selection does not
	if got, want := at(s, 0), "web aaaaaaaaaaaa-1 digest of aaaaaaaaaaaa-1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}

	s = fresh()
	press(s, "f1h")
	s.Set(some()[:2], nil, nil, s.now)
	if a := s.Key(term.Key{Name: term.Enter}, s.now); a.Do != Nothing {
		t.Errorf("approved what was decided while the term was typed: %+v", a)
	}

	s = fresh()
	s.Key(term.Key{Name: term.Paste, Text: "aaa"}, s.now)
	if s.note.text == "" || s.Busy() {
		t.Error("a paste is no key")
	}

	s = fresh()
	press(s, "?")
	s.Set(some()[:2], nil, nil, s.now)
	s.Tick(s.now.Add(time.Hour))
	s.Key(term.Key{Rune: 'x'}, s.now)
	if got := at(s, 0); got != "" {
		t.Errorf("approved %s, which had come behind the help", got)
	}
}

// TestSeenBefore: all that a proposal would do must have been in sight.
func TestSeenBefore(t *testing.T) {
	long := item("ffffffffffff-1", "long.example", 3, 0, "x: "+strings.Repeat("risk ", 300))
	s := screen(80, 24, []Item{long})
	if got := approved(press(s, "a")); got != "" || !strings.Contains(s.note.text, "more to see") {
		t.Errorf("approved %q, %q", got, s.note.text)
	}
	if got := approved(press(s, "<end>a")); got != "" {
		t.Error("the end of the list is not the end of the text")
	}
	if got := approved(press(s, "<space><space><space>a")); got == "" {
		t.Errorf("all was seen: %q", s.note.text)
	}
	s.Resize(60, 20)
	if got := approved(press(s, "a")); got != "" {
		t.Error("the lines are other lines after a resize")
	}
}

func TestFault(t *testing.T) {
	it := item("ffffffffffff-1", "x.example", 0, 0)
	it.Digest, it.Fault = "", "the table cannot be read"
	s := screen(80, 24, []Item{it})
	if a := press(s, "a"); a.Do != Nothing || !strings.Contains(s.note.text, "the table cannot be read") {
		t.Errorf("%+v, %q", a, s.note.text)
	}
	if a := press(s, "rno<enter>"); a.Do != Reject {
		t.Errorf("it can be rejected: %+v", a)
	}
}

func TestOneAtATime(t *testing.T) {
	s := screen(80, 24, some())
	s.Begin("approve x")
	for _, keys := range []string{"a", "e", "R", "P", "f1h<enter>", "<escape>rno<enter>"} {
		if a := press(s, keys); a.Do != Nothing {
			t.Errorf("%s: %+v while another action is under way", keys, a)
		}
	}
	if a := press(s, "<escape>q"); a.Do != Quit {
		t.Error("q quits all the same")
	}
	s.Done(true, "done")
	if a := press(s, "a"); a.Do != Approve {
		t.Errorf("then: %+v", a)
	}
}

func TestEditOfABottle(t *testing.T) {
	s := screen(80, 24, some())
	if a := press(s, "R"); a.Do != EditRoutes || a.Item.Bottle != "web" {
		t.Errorf("%+v", a)
	}
	s.Set(nil, []string{"one"}, nil, noon)
	if a := press(s, "P"); a.Do != EditPipelock || a.Item.Bottle != "one" {
		t.Errorf("of the only bottle: %+v", a)
	}
	s.Set(nil, []string{"one", "two"}, nil, noon)
	if a := press(s, "Rthree<enter>"); a.Do != Nothing || !strings.Contains(s.note.text, "one two") {
		t.Errorf("%+v, %q", a, s.note.text)
	}
	if a := press(s, "<escape>Rtwo<enter>"); a.Do != EditRoutes || a.Item.Bottle != "two" {
		t.Errorf("of one that is named: %+v", a)
	}
}

func TestFold(t *testing.T) {
	var items []Item
	for i := range 30 {
		it := item("aaaaaaaaaaaa-1", "same.example", 1, i)
		it.ID = strings.Repeat("a", 12) + "-" + string(rune('A'+i))
		items = append(items, it)
	}
	s := screen(80, 24, append(items, item("bbbbbbbbbbbb-1", "other.example", 0, 0)))
	if len(s.rows) != 2 || s.rows[0].folded != 29 {
		t.Fatalf("%d rows, %d folded", len(s.rows), s.rows[0].folded)
	}
	press(s, "o<end>")
	if len(s.rows) != 31 || s.selected().Subject != "other.example" {
		t.Errorf("unfolded: %d rows, %s is the last", len(s.rows), s.selected().Subject)
	}
	press(s, "<up>o")
	if len(s.rows) != 2 || s.selected() != &s.items[0] {
		t.Errorf("folded: %d rows, at %d", len(s.rows), s.index)
	}
}
