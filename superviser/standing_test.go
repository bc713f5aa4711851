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

func TestRisks(t *testing.T) {
	tab := table(t, testTable)
	cases := []struct {
		proposal string
		want     []string // beginnings, all of them in this order
	}{
		{`{host: new.example, path_allowlist: [/a], methods: [GET]}`, []string{"new host"}},
		{`{host: new.example}`, []string{"new host", "every path", "write: methods POST PUT PATCH DELETE and others"}},
		{`{host: "*.new.example", methods: [POST], path_allowlist: [/]}`, []string{"new host", "wildcard: new.example and every host below", "every path", "write: methods POST"}},
		{`{host: x.wild.example, path_allowlist: [/b], methods: [GET]}`, []string{"shadows: *.wild.example"}},
		{`{host: new.example, path_allowlist: [/a], methods: [GET], auth: {scheme: Bearer, token_ref: MY_TOKEN}}`, []string{"new host", "credential: the value of YOUR variable MY_TOKEN will be sent to new.example"}},
		{`{host: paths.example, path_allowlist: [/], methods: [GET]}`, []string{"every path"}},
		{`{host: paths.example, path_allowlist: [/x], methods: [GET, DELETE]}`, []string{"write: methods DELETE newly"}},
		{`{host: token.example, path_allowlist: [/b]}`, []string{"credential: what is added is reached with the route's credential"}},
		{`{host: new.example, methods: [GET], path_allowlist: [/` + strings.Repeat("a", 3000) + `, /b]}`, []string{"new host", "long: 2 paths and 1 methods"}},
		{`{host: bare.example, auth: {scheme: Bearer, token_ref: T}}`, []string{"credential: the proposed auth is ignored", "no change"}},
	}
	for _, c := range cases {
		p := propose(t, c.proposal)
		next, m, err := route.Merge(tab, p)
		if err != nil {
			t.Fatal(err)
		}
		got := risks(p, tab, next, m, nil)
		if len(got) != len(c.want) {
			t.Errorf("%s: got %q, want %q", c.proposal, got, c.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s: got %q, want %q", c.proposal, got[i], c.want[i])
			}
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
