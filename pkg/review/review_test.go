package review

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/term"
	"bottle/pkg/term/termtest"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// item is a proposal of the bottle web, filed so many minutes before noon.
func item(id, host string, level, minutes int, risks ...string) Item {
	var list []Risk
	for i, r := range risks {
		list = append(list, Risk{max(0, level-i), r})
	}
	return Item{
		Bottle: "web", ID: id, Component: "egress-proxy", Subject: host, Client: "claude-code",
		Justification: "the build needs " + host, Filed: noon.Add(-time.Duration(minutes) * time.Minute),
		Level: level, Risks: list, Changes: []string{"+ " + host + ": every path"}, Digest: "digest of " + id,
	}
}

// some is what a day brings.
func some() []Item {
	priv := item("aaaaaaaaaaaa-1", "api.github.com", 3, 3,
		"credential: the value of YOUR variable GITHUB_TOKEN will be sent to api.github.com",
		"write: methods POST PATCH newly allowed")
	priv.Changes = []string{"+ api.github.com: paths /repos/me, methods GET POST PATCH", "! api.github.com: credential added: Bearer from EGRESS_PROXY_TOKEN_0"}
	priv.Justification = "I must open a pull request.\n! risk: none\x1b[2J\x1b[H \u202eevil\u202c and \u65e5\u672c\u8a9e, so that\tall of it is told here."
	mirror := item("bbbbbbbbbbbb-1", "*.cdn.example", 2, 70, "wildcard: cdn.example and every host below it, whoever runs it")
	docs := item("cccccccccccc-1", "docs.example", 1, 0, "new host: the bottle may send data to docs.example, which no route names so far")
	again := item("dddddddddddd-2", "docs.example", 0, 3000)
	again.Changes = []string{"~ docs.example: path /more added"}
	other := item("cccccccccccc-1", "docs.example", 1, 5, "new host: the bottle may send data to docs.example, which no route names so far")
	other.Bottle = "a-bottle-with-a-long-name"
	return []Item{docs, again, priv, other, mirror}
}

func screen(width, height int, items []Item) *Screen {
	s := New(width, height, noon)
	s.Set(items, []string{"a-bottle-with-a-long-name", "web"}, nil, noon)
	return s
}

// press types keys, a second apart, and returns what the last has asked for.
// <up> and the like are the keys of that name.
func press(s *Screen, keys string) Action {
	named := map[string]term.Key{
		"<up>": {Name: term.Up}, "<down>": {Name: term.Down}, "<enter>": {Name: term.Enter}, "<escape>": {Name: term.Escape},
		"<space>": {Name: term.Rune, Rune: ' '}, "<home>": {Name: term.Home}, "<end>": {Name: term.End},
		"<left>": {Name: term.Left}, "<backspace>": {Name: term.Backspace},
	}
	var a Action
	for len(keys) > 0 {
		k := term.Key{Name: term.Rune, Rune: rune(keys[0])}
		n := 1
		for name, key := range named {
			if strings.HasPrefix(keys, name) {
				k, n = key, len(name)
			}
		}
		keys = keys[n:]
		a = s.Key(k, s.now.Add(time.Second))
	}
	return a
}

// drawn is the screen as a terminal of its size shows it.
func drawn(t testing.TB, s *Screen) string {
	t.Helper()
	f := term.Frame{Width: s.width, Height: s.height, Ink: term.ColourInk}
	shown := termtest.NewScreen(s.width, s.height)
	lines, cursor := s.Lines()
	if len(lines) > s.height {
		t.Errorf("%d lines on a screen of %d", len(lines), s.height)
	}
	shown.Write([]byte("\x1b[?1049h"))
	if _, err := shown.Write(f.Draw(lines, cursor)); err != nil {
		t.Fatal(err)
	}
	return shown.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the screen is\n%swant\n%s", path, got, want)
	}
}

func TestScreens(t *testing.T) {
	cases := []struct {
		name  string
		setup func(*Screen)
	}{
		{"open", func(s *Screen) {}},
		{"folded", func(s *Screen) { press(s, "nnnno") }},
		{"reason", func(s *Screen) { press(s, "rno, use the mirror") }},
		{"further", func(s *Screen) { press(s, "<space>") }},
		{"help", func(s *Screen) { press(s, "?") }},
		{"nothing", func(s *Screen) { s.Set(nil, nil, []string{"web: a link"}, noon) }},
		{"refused", func(s *Screen) {
			for i := range 5 {
				s.Refused(Refusal{Time: noon, Bottle: "web", Method: "GET", Host: fmt.Sprintf("h%d.example", i/2), Path: "/x\x1b[2J"})
			}
		}},
		{"fault", func(s *Screen) {
			s.Done(false, "aaaaaaaaaaaa-1 stays pending: routesctl apply: exit status 3\npipelock unchanged, routes unchanged: the engine does not answer\x1b[1A\nhint: 'docker info' tells why")
		}},
	}
	for _, size := range [][2]int{{80, 24}, {40, 15}, {24, 8}, {160, 50}} {
		for _, c := range cases {
			name := fmt.Sprintf("%s_%dx%d", c.name, size[0], size[1])
			t.Run(name, func(t *testing.T) {
				time.Local = time.UTC
				s := screen(size[0], size[1], some())
				c.setup(s)
				golden(t, name, drawn(t, s))
			})
		}
	}
}

func TestTooSmall(t *testing.T) {
	for _, size := range [][2]int{{19, 24}, {80, 6}, {1, 1}, {0, 0}} {
		s := screen(size[0], size[1], some())
		drawn(t, s)
		if a := press(s, "a"); a.Do != Nothing {
			t.Errorf("%v: approved on a screen that shows nothing", size)
		}
		if a := press(s, "q"); a.Do != Quit {
			t.Errorf("%v: q does not quit", size)
		}
	}
}
