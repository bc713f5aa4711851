package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bottle/pkg/route"
)

var noon = time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)

const testTable = `routes:
- host: bare.example
- host: paths.example
  path_allowlist: [/repos/me, /dir/]
  methods: [GET, HEAD]
- host: every.example
  path_allowlist: [/]
- host: "*.wild.example"
  path_allowlist: [/a]
- host: old.example
  expires: 2026-07-28T11:00:00Z
- host: token.example
  auth_scheme: Bearer
  token_env: EGRESS_PROXY_TOKEN_0
  path_allowlist: [/a]
`

func table(t *testing.T, text string) *route.Table {
	t.Helper()
	tab, err := route.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func propose(t *testing.T, text string) route.Proposal {
	t.Helper()
	p, err := route.ParseProposal("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStand(t *testing.T) {
	tab := table(t, testTable)
	cases := []struct{ proposal, want string }{
		{`{host: new.example}`, ""},
		{`{host: bare.example}`, "already allowed"},
		{`{host: bare.example, path_allowlist: [/x], methods: [POST]}`, "already allowed"},
		{`{host: bare.example, auth: {scheme: Bearer, token_ref: T}}`, "credentials of a host that has a route"},
		{`{host: every.example}`, "already allowed"},
		{`{host: paths.example, path_allowlist: [/repos/me/x, /dir/y], methods: [GET]}`, "already allowed"},
		{`{host: paths.example, path_allowlist: [/repos/meow], methods: [GET]}`, ""},
		{`{host: paths.example, path_allowlist: [/dir], methods: [GET]}`, ""},
		{`{host: paths.example}`, `ask for every path with "path_allowlist": ["/"]`},
		{`{host: paths.example, path_allowlist: [/repos/me]}`, `name the methods you need`},
		{`{host: paths.example, path_allowlist: [/]}`, ""},
		{`{host: paths.example, methods: [POST]}`, ""},
		{`{host: x.wild.example, path_allowlist: [/a/b]}`, "already allowed"},
		{`{host: x.wild.example}`, ""},
		{`{host: "*.deep.wild.example", path_allowlist: [/a]}`, "already allowed"},
		{`{host: "*.wild.example"}`, "adds nothing"},
		{`{host: "*.bare.example"}`, ""},
		{`{host: old.example}`, ""},
	}
	for _, c := range cases {
		st := stand(tab, propose(t, c.proposal), noon)
		if st.settled != (c.want != "") || !strings.Contains(st.text, c.want) {
			t.Errorf("%s: got %+v, want %q", c.proposal, st, c.want)
		}
		if st.settled && !strings.Contains(st.text, "\nnext: ") {
			t.Errorf("%s: no next step in %q", c.proposal, st.text)
		}
	}
}

func TestGrant(t *testing.T) {
	tab := table(t, testTable)
	cases := []struct {
		host string
		d    time.Duration
		n    int
		want string // the end and the uses, "" for none, "no" for a refusal
	}{
		{"new.example", 0, 0, ""},
		{"new.example", time.Hour, 0, "2026-07-28T13:00:00Z"},
		{"new.example", time.Hour, 3, "2026-07-28T13:00:00Z 3"},
		{"old.example", 0, 0, ""}, // expired at 11
		{"old.example", time.Hour, 0, "2026-07-28T13:00:00Z"},
		{"old.example", 0, 2, " 2"},
		{"bare.example", 0, 0, ""},
		{"bare.example", time.Hour, 0, "no"},
		{"bare.example", 0, 5, "no"},
		{"some.example", 0, 0, " 4"},
		{"some.example", 0, 2, " 5"}, // 3 are used
		{"used.example", 0, 0, ""},
		{"used.example", time.Hour, 0, "2026-07-28T13:00:00Z"},
		{"used.example", 0, 1, " 6"}, // 5 are used
	}
	tab, err := route.New(append(tab.Routes, route.Route{Host: "some.example", MaxUses: 4}, route.Route{Host: "used.example", MaxUses: 5}))
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]int64{"some.example": 3, "used.example": 5}
	for _, c := range cases {
		next, _, err := route.Merge(tab, route.Proposal{Host: c.host})
		if err != nil {
			t.Fatal(err)
		}
		got := "no"
		if next, err = grant(next, tab, c.host, noon, order{hold: c.d, uses: c.n}, uses); err == nil {
			got = ""
			if e := find(next, c.host).Expires; !e.IsZero() {
				got = e.Format(time.RFC3339)
			}
			if n := find(next, c.host).MaxUses; n > 0 {
				got += fmt.Sprintf(" %d", n)
			}
		}
		if got != c.want {
			t.Errorf("%s for %v and %d uses: got %q, want %q", c.host, c.d, c.n, got, c.want)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	b := &budget{}
	for range logsPerMinute {
		if ok, _ := b.take(noon); !ok {
			t.Fatal("refused within the budget")
		}
	}
	for range 3 {
		if ok, _ := b.take(noon.Add(time.Second)); ok {
			t.Fatal("taken over the budget")
		}
	}
	if ok, dropped := b.take(noon.Add(time.Minute)); !ok || dropped != 3 {
		t.Errorf("the next minute: got %t, %d left out; want 3", ok, dropped)
	}
}
