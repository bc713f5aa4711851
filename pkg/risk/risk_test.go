package risk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/route"
)

const table = `routes:
- host: paths.example
  path_allowlist: [/a]
  methods: [GET]
- host: token.example
  path_allowlist: [/a]
  methods: [GET]
  auth_scheme: Bearer
  token_env: EGRESS_PROXY_TOKEN_0
- host: "*.wild.example"
- host: old.example
  methods: [GET]
  expires: 2026-01-01T00:00:00Z
`

var at = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func caseOf(t *testing.T, p route.Proposal) Case {
	t.Helper()
	now, err := route.Parse("table", []byte(table))
	if err != nil {
		t.Fatal(err)
	}
	next, m, err := route.Merge(now, p)
	if err != nil {
		t.Fatal(err)
	}
	return Case{Proposal: p, Now: now, Next: next, Merged: m, At: at}
}

// TestRenewed: a route that has ended lets nothing through, so that what it had is
// new again, however it ended.
func TestRenewed(t *testing.T) {
	const used = `routes:
- host: used.example
  path_allowlist: [/a]
  auth_scheme: Bearer
  token_env: EGRESS_PROXY_TOKEN_0
  max_uses: 5
- host: past.example
  methods: [GET, POST]
  path_allowlist: [/a]
  expires: 2026-01-01T00:00:00Z
`
	now, err := route.Parse("table", []byte(used))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string][]string{"used.example": {"credential", "write", "renewed"}, "past.example": {"write", "renewed"}} {
		p := route.Proposal{Host: host, PathAllowlist: []string{"/a"}}
		next, m, err := route.Merge(now, p)
		if err != nil {
			t.Fatal(err)
		}
		risks := Of(Case{Proposal: p, Now: now, Next: next, Merged: m, Uses: map[string]int64{"used.example": 5}, At: at})
		var kinds []string
		for _, text := range Texts(risks) {
			kind, _, _ := strings.Cut(text, ": ")
			kinds = append(kinds, kind)
		}
		if len(kinds) < len(want) || !slices.Equal(kinds[:len(want)], want) || Max(risks) != High {
			t.Errorf("%s: got %v, %q; want high, %q", host, Max(risks), kinds, want)
		}
	}
}

func TestOf(t *testing.T) {
	get := []string{"GET"}
	cases := []struct {
		name  string
		p     route.Proposal
		level Level
		want  []string // kinds, the worst first
	}{
		{"reading", route.Proposal{Host: "new.example", PathAllowlist: []string{"/a"}, Methods: get}, Medium, []string{"new host"}},
		{"bare", route.Proposal{Host: "new.example"}, High, []string{"write", "new host", "every path"}},
		{"wildcard", route.Proposal{Host: "*.new.example", PathAllowlist: []string{"/a"}, Methods: get}, Critical, []string{"wildcard", "new host"}},
		{"credential", route.Proposal{Host: "new.example", PathAllowlist: []string{"/a"}, Methods: get, Auth: &route.ProposalAuth{Scheme: "Bearer", TokenRef: "MINE"}}, Critical, []string{"credential", "new host"}},
		{"auth ignored", route.Proposal{Host: "paths.example", PathAllowlist: []string{"/a"}, Auth: &route.ProposalAuth{Scheme: "Bearer", TokenRef: "MINE"}}, Low, []string{"credential", "no change"}},
		{"one more path", route.Proposal{Host: "paths.example", PathAllowlist: []string{"/b"}}, Low, nil},
		{"slash", route.Proposal{Host: "paths.example", PathAllowlist: []string{"/"}}, High, []string{"every path"}},
		{"write", route.Proposal{Host: "paths.example", Methods: []string{"POST"}}, High, []string{"write"}},
		{"with its credential", route.Proposal{Host: "token.example", PathAllowlist: []string{"/b"}}, High, []string{"credential"}},
		{"shadows", route.Proposal{Host: "a.wild.example", PathAllowlist: []string{"/a"}, Methods: get}, Medium, []string{"shadows"}},
		{"expired", route.Proposal{Host: "old.example", Methods: get}, Medium, []string{"renewed", "no change"}},
		{"long", route.Proposal{Host: "paths.example", PathAllowlist: []string{"/" + strings.Repeat("x", 3000)}}, Medium, []string{"long"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			risks := Of(caseOf(t, c.p))
			var kinds []string
			for _, text := range Texts(risks) {
				kind, _, _ := strings.Cut(text, ": ")
				kinds = append(kinds, kind)
			}
			if !slices.Equal(kinds, c.want) || Max(risks) != c.level {
				t.Errorf("got %v, %q; want %v, %q", Max(risks), kinds, c.level, c.want)
			}
		})
	}
}

// TestCured counts what the proposal would have let through, of the last hour.
func TestCured(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.jsonl")
	log := "cut short\n"
	line := func(ago time.Duration, method, host, path, verdict string) {
		log += fmt.Sprintf(`{"time":%q,"method":%q,"scheme":"https","host":%q,"port":443,"path":%q,"verdict":%q,"code":"x"}`+"\n", at.Add(-ago).Format(time.RFC3339), method, host, path, verdict)
	}
	line(2*time.Hour, "GET", "new.example", "/a", "block")
	line(time.Minute, "GET", "new.example", "/a/b?key", "block")
	line(time.Minute, "GET", "new.example", "/other", "block")
	line(time.Minute, "POST", "new.example", "/a", "block")
	line(time.Minute, "GET", "other.example", "/a", "block")
	line(time.Minute, "GET", "new.example", "/a", "allow")
	line(time.Second, "GET", "new.example", "/a", "block")
	if err := os.WriteFile(path, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	refused, err := ReadRefusals(path)
	if err != nil || len(refused) != 6 {
		t.Fatalf("read %d, %v; want 6", len(refused), err)
	}
	c := caseOf(t, route.Proposal{Host: "new.example", PathAllowlist: []string{"/a"}, Methods: []string{"GET"}})
	c.Refused = refused
	if texts := Texts(Of(c)); !slices.Contains(texts, "cures: 2 requests among the recent refusals would have passed") {
		t.Errorf("got %q", texts)
	}
	if list, err := ReadRefusals(filepath.Join(t.TempDir(), "none")); list != nil || err != nil {
		t.Errorf("without a log: %v, %v", list, err)
	}
}
