package textdiff

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestLines(t *testing.T) {
	cases := []struct {
		name, old, new string
		context        int
		want           []string
	}{
		{"equal", "a\nb\n", "a\nb", 1, nil},
		{"from nothing", "", "a\nb\n", 1, []string{"+ a", "+ b"}},
		{"changed", "a\nb\nc\nd\ne\n", "a\nb\nX\nd\ne\n", 1, []string{"@ 2", "  b", "- c", "+ X", "  d"}},
		{"moved", "a\nb\nc\n", "b\nc\na\n", 0, []string{"- a", "@ 3", "+ a"}},
		{"apart", "1\n2\n3\n4\n5\n6\n", "1\nx\n3\n4\n5\ny\n", 0, []string{"@ 2", "- 2", "+ x", "@ 6", "- 6", "+ y"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Lines(c.old, c.new, c.context); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestLinesAreBoth: with all of the surroundings the diff holds both texts.
func TestLinesAreBoth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := func() string {
			var b strings.Builder
			for range r.IntN(8) {
				b.WriteString(string(rune('a'+r.IntN(3))) + "\n")
			}
			return b.String()
		}
		old, new := text(), text()
		var was, is strings.Builder
		for _, l := range Lines(old, new, 100) {
			if l[0] != '+' {
				was.WriteString(l[2:] + "\n")
			}
			if l[0] != '-' {
				is.WriteString(l[2:] + "\n")
			}
		}
		if old != new && (was.String() != old || is.String() != new) {
			t.Errorf("%q to %q: %q", old, new, Lines(old, new, 100))
		}
	}
}

func TestLargeTextsAreNotCompared(t *testing.T) {
	old, new := strings.Repeat("a\nb\n", 2000), strings.Repeat("b\nc\n", 2000)
	if got := len(Lines(old, new, 0)); got != 8000 {
		t.Errorf("got %d lines, want all of both", got)
	}
}
