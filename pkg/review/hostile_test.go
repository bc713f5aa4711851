package review

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bottle/pkg/term"
)

// FuzzHostile: whatever an agent writes, a terminal is sent nothing but text on
// the lines that are there for it, and the lines of ours are ours.
func FuzzHostile(f *testing.F) {
	f.Add("\x1b[2J\x1b[1;1Happrove\r\n", "\u202eabc\n!! risk", "x\xff\u0301", 80, 24)
	f.Add(strings.Repeat("日", 3000), "\U0001f680", "\x1b]0;t\a", 21, 7)
	f.Fuzz(func(t *testing.T, host, why, client string, width, height int) {
		width, height = 20+(width&0x7f), 7+(height&0x3f)
		s := New(width, height, noon)
		it := item("aaaaaaaaaaaa-1", host, 2, 0, "risk: "+host)
		it.Justification, it.Client = why, client
		other := item("bbbbbbbbbbbb-1", "ours.example", 1, 0)
		s.Set([]Item{it, other}, []string{"web"}, []string{"web: " + why}, noon)
		s.Refused(Refusal{Time: noon, Bottle: "web", Method: host, Host: why, Path: client, Reason: why})
		s.Done(false, why+"\n"+host)
		for _, keys := range []string{"", "m", "x", "t", " ", "x", "rabc", "<escape><end>"} {
			press(s, keys)
			text := drawn(t, s)
			if s.pager != nil {
				continue
			}
			rows := strings.Split(text, "\n")
			if !strings.Contains(rows[0], "2 ") || !strings.HasSuffix(rows[height-1], "q quit") && s.prompt == nil {
				t.Fatalf("the lines of ours are not in their places:\n%s", text)
			}
		}
		for _, l := range detailsOf(&it, width).lines {
			// What the agent says is behind its bar, whatever it says.
			if len(l) == 2 && l[0].Text != "   | " {
				t.Errorf("a line of two parts is no line of the agent's: %q", l)
			}
		}
	})
}

// hundreds is a flood: n proposals for many hosts.
func hundreds(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		items[i] = item(fmt.Sprintf("%012x-1", i), fmt.Sprintf("h%d.example", i/2), i%4, i%100, "write: "+strings.Repeat("x", 200))
		items[i].Justification = strings.Repeat("because \x1b[1m ", 300)
	}
	return items
}

// worst is how long a key may take with 500 proposals, drawing included.
const worst = 50 * time.Millisecond

func TestKeysAreFast(t *testing.T) {
	s := screen(80, 24, hundreds(500))
	f := term.Frame{Width: 80, Height: 24, Ink: term.ColourInk}
	keys := strings.Repeat("nnnpo jk?xo", 50)
	best := time.Hour
	for range 5 { // the best of five: others use this machine
		start := time.Now()
		for _, k := range keys {
			s.Key(term.Key{Rune: k}, s.now)
			f.Draw(s.Lines())
		}
		best = min(best, time.Since(start)/time.Duration(len(keys)))
	}
	if best > worst {
		t.Errorf("a key takes %v; wanted at most %v", best, worst)
	}
	t.Logf("%v a key", best)
}

func BenchmarkKey(b *testing.B) {
	s := screen(80, 24, hundreds(500))
	f := term.Frame{Width: 80, Height: 24, Ink: term.ColourInk}
	for i := range b.N {
		s.Key(term.Key{Rune: rune("nnnpo jk"[i%8])}, s.now)
		f.Draw(s.Lines())
	}
}

func BenchmarkSet(b *testing.B) {
	items := hundreds(500)
	s := screen(80, 24, items)
	for range b.N {
		s.Set(items, []string{"web"}, nil, noon)
	}
}
