package learn

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/route"
)

func ask(t testing.TB, method, url string) route.Query {
	t.Helper()
	q, err := route.NewQuery(method, url, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestRoutes(t *testing.T) {
	cases := map[string]struct {
		asked []string // METHOD URL
		want  string   // host methods ports paths
	}{
		"one":      {[]string{"GET https://a.example/v1/x"}, "a.example [GET] [] [/v1/x]"},
		"root":     {[]string{"GET https://a.example/"}, "a.example [GET] [] [/]"},
		"below":    {[]string{"GET https://a.example/v1/x", "GET https://a.example/v1", "GET https://a.example/v1/"}, "a.example [GET] [] [/v1]"},
		"methods":  {[]string{"POST https://a.example/v1", "PROPFIND https://a.example/v1", "GET https://a.example/v1"}, "a.example [GET POST PROPFIND] [] [/v1]"},
		"numbers":  {[]string{"GET https://a.example/users/17/name", "GET https://a.example/users/18/name"}, "a.example [GET] [] [/users]"},
		"uuid":     {[]string{"GET https://a.example/o/0b27fe13-4f78-4a3c-9d4e-1f2e3d4c5b6a/x"}, "a.example [GET] [] [/o]"},
		"hash":     {[]string{"GET https://a.example/p/ab/3f9c2e1/f.whl"}, "a.example [GET] [] [/p/ab]"},
		"words":    {[]string{"GET https://a.example/simple/requests", "GET https://a.example/v1/face-added"}, "a.example [GET] [] [/simple/requests /v1/face-added]"},
		"first id": {[]string{"GET https://a.example/2024/x"}, "a.example [GET] [] [/2024/x]"},
		"ports":    {[]string{"GET https://a.example:8443/x", "GET https://a.example/x"}, "a.example [GET] [443 8443] [/x]"},
		"http":     {[]string{"GET http://a.example/x", "GET https://a.example/x"}, "a.example [GET] [] [/x]"},
		"crossed":  {[]string{"GET http://a.example:443/x"}, "a.example [GET] [443] [/x]"},
		"deep":     {[]string{"GET https://a.example/a/b/c/d/e/f/g/h"}, "a.example [GET] [] [/a/b/c/d/e/f]"},
		"unfit":    {[]string{"GET https://a.example/a/../b", "TRACE https://a.example/", "get https://a.example/"}, ""},
	}
	many := []string{}
	for i := range 9 {
		many = append(many, fmt.Sprintf("GET https://a.example/pkg/name%c/x", 'a'+i))
	}
	cases["many names"] = struct {
		asked []string
		want  string
	}{many, "a.example [GET] [] [/pkg]"}
	for name, c := range cases {
		s := New()
		for _, a := range c.asked {
			method, url, _ := strings.Cut(a, " ")
			s.Add(ask(t, method, url))
		}
		var got []string
		for _, r := range s.Routes() {
			got = append(got, fmt.Sprint(r.Host, " ", r.Methods, " ", r.Ports, " ", r.PathAllowlist))
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// random requests of few hosts, or of what an agent might make up.
func random(t testing.TB, rnd *rand.Rand) route.Query {
	pick := func(list ...string) string { return list[rnd.Intn(len(list))] }
	host := pick("a.example", "b.a.example", "c.example", "192.0.2.1", fmt.Sprintf("h%d.example", rnd.Intn(50)))
	path := ""
	for range rnd.Intn(6) {
		path += "/" + pick("v1", "repos", "x", "..", "", "%2e", "12", "3f9c2e1", "é", fmt.Sprint("n", rnd.Intn(30)), strings.Repeat("z", rnd.Intn(80)))
	}
	return ask(t, pick("GET", "GET", "POST", "PUT", "TRACE", "x", "<b>"), pick("http", "https")+"://"+host+pick("", "", "", ":8443", ":80")+path+pick("", "/"))
}

// What was taken passes, in the learned routes and merged into any table, which
// parses; nothing outside the hosts that were asked for does.
func TestLearnedAllows(t *testing.T) {
	for seed := range int64(200) {
		rnd := rand.New(rand.NewSource(seed))
		base := someTable(t, rnd)
		s, hosts := New(), map[string]bool{}
		var taken []route.Query
		for range rnd.Intn(200) {
			if q := random(t, rnd); s.Add(q) {
				taken = append(taken, q)
				hosts[q.Host] = true
			}
		}
		learned := s.Routes()
		alone, _, err := Merge(empty(t), learned)
		if err != nil {
			t.Fatal(err)
		}
		next, left, err := Merge(base, learned)
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []*route.Table{alone, next} {
			if _, err := route.Parse("again", table.Encode()); err != nil {
				t.Fatal(err)
			}
		}
		for _, q := range taken {
			if d := alone.Match(q); !d.Allow {
				t.Fatalf("seed %d: %+v: %s\n%s", seed, q, d.Reason, alone.Encode())
			}
			if d := next.Match(q); !d.Allow && left[q.Host] == "" {
				t.Fatalf("seed %d: %+v: %s\n%s", seed, q, d.Reason, next.Encode())
			}
		}
		for range 300 {
			q := random(t, rnd)
			if !hosts[q.Host] && (alone.Match(q).Allow || next.Match(q).Allow && !base.Match(q).Allow) {
				t.Fatalf("seed %d: %+v is allowed, and the host was never seen", seed, q)
			}
			if base.Match(q).Allow && !next.Match(q).Allow {
				t.Fatalf("seed %d: merging took %+v away\n%s\n%s", seed, q, base.Encode(), next.Encode())
			}
		}
		for _, r := range alone.Routes {
			if r.TokenEnv != "" || strings.HasPrefix(r.Host, "*") || len(r.PathAllowlist) > maxPrefixes {
				t.Fatalf("seed %d: %+v", seed, r)
			}
		}
	}
}

func empty(t testing.TB) *route.Table {
	t.Helper()
	table, err := route.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func someTable(t testing.TB, rnd *rand.Rand) *route.Table {
	t.Helper()
	var routes []route.Route
	for _, host := range []string{"a.example", "*.a.example", "h1.example"} {
		if rnd.Intn(2) == 0 {
			continue
		}
		r := route.Route{Host: host}
		if rnd.Intn(2) == 0 {
			r.PathAllowlist = []string{"/v1", "/repos/x"}
		}
		if rnd.Intn(2) == 0 {
			r.Methods = []string{"GET"}
		}
		if rnd.Intn(2) == 0 {
			r.Ports = []int{443}
		}
		if rnd.Intn(4) == 0 {
			r.AuthScheme, r.TokenEnv = "Bearer", "T"
		}
		routes = append(routes, r)
	}
	table, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMergeLeaves(t *testing.T) {
	base, err := route.Parse("t", []byte(`routes:
  - {host: "*.token.example", auth_scheme: Bearer, token_env: T, methods: [GET]}
  - {host: "*.wide.example", methods: [GET], note: mine}
  - {host: tunnel.example, tls: passthrough}
  - {host: old.example, expires: 2020-01-01T00:00:00Z}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := New()
	for _, host := range []string{"a.token.example", "a.wide.example", "tunnel.example", "old.example"} {
		s.Add(ask(t, "POST", "https://"+host+"/x"))
	}
	next, left, err := Merge(base, s.Routes())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 3 || left["a.wide.example"] != "" || len(next.Routes) != 5 {
		t.Errorf("left %v\n%s", left, next.Encode())
	}
	want := route.Route{Host: "a.wide.example", Methods: []string{"GET", "POST"}}
	if got := next.Routes[4]; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// What was used passes the narrowed table too, and what was not is gone.
func TestNarrowed(t *testing.T) {
	table, err := route.Parse("t", []byte(`routes:
  - {host: used.example, path_allowlist: [/a, /b, /a/deep], methods: [GET, POST]}
  - {host: never.example}
  - {host: open.example}
  - {host: "*.wide.example"}
  - {host: shield.wide.example, methods: [GET]}
`))
	if err != nil {
		t.Fatal(err)
	}
	u := NewUse(table)
	for _, a := range []string{"https://used.example/a/deep/x", "https://open.example/x", "https://x.wide.example/", "https://elsewhere.example/"} {
		u.Add(ask(t, "GET", a))
	}
	next, err := u.Narrowed()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range route.Diff(table, next) {
		got = append(got, c.Text)
	}
	want := []string{"- never.example", "~ used.example: path /a removed", "~ used.example: path /b removed", "~ used.example: method POST removed"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestNarrowedAllowsUsed(t *testing.T) {
	for seed := range int64(200) {
		rnd := rand.New(rand.NewSource(seed))
		table := someTable(t, rnd)
		u := NewUse(table)
		var used []route.Query
		for range rnd.Intn(100) {
			q := random(t, rnd)
			if table.Match(q).Allow {
				used = append(used, q)
			}
			u.Add(q)
		}
		next, err := u.Narrowed()
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range used {
			if d := next.Match(q); !d.Allow {
				t.Fatalf("seed %d: %+v: %s\n%s\n%s", seed, q, d.Reason, table.Encode(), next.Encode())
			}
		}
		for range 200 {
			if q := random(t, rnd); next.Match(q).Allow && !table.Match(q).Allow {
				t.Fatalf("seed %d: narrowing allows %+v\n%s\n%s", seed, q, table.Encode(), next.Encode())
			}
		}
	}
}

// However many names an agent makes up, what is kept stays small.
func TestSetIsBounded(t *testing.T) {
	s := New()
	for i := range 20_000 {
		s.Add(ask(t, fmt.Sprintf("M%d", i%50), fmt.Sprintf("https://h%d.example/a%d/b%d/c%d/d%d/e", i%5000, i%7, i%49, i%343, i)))
	}
	if len(s.hosts) != maxHosts || len(s.left) > maxLeft+1 {
		t.Errorf("%d hosts, %d left out", len(s.hosts), len(s.left))
	}
	one := New()
	for i := range 50_000 {
		one.Add(ask(t, "GET", fmt.Sprintf("https://a.example/a%d/b%d/c%d/d%d/e%d", i%7, i/7%7, i/49%7, i/343%7, i/2401%7)))
	}
	if n := len(one.Routes()[0].PathAllowlist); n == 0 || n > maxPrefixes {
		t.Errorf("%d prefixes", n)
	}
}
