package route

import (
	"math/rand"
	"reflect"
	"testing"
	"time"
)

func TestCure(t *testing.T) {
	table := mustParse(t, `routes:
  - {host: a.example, path_allowlist: [/x], methods: [GET]}
  - {host: "*.b.example", methods: [GET], expires: 2029-01-01T00:00:00Z}
  - {host: c.example, max_uses: 1, path_allowlist: [/x]}
  - {host: d.example}
`)
	uses := map[string]int64{"c.example": 1}
	cases := []struct {
		method, url string
		want        Proposal
	}{
		{"GET", "https://new.example/v1/x", Proposal{Host: "new.example", PathAllowlist: []string{"/v1/x"}, Methods: []string{"GET"}}},
		{"GET", "https://a.example/y", Proposal{Host: "a.example", PathAllowlist: []string{"/y"}}},
		{"PUT", "https://a.example/x", Proposal{Host: "a.example", Methods: []string{"PUT"}}},
		{"PUT", "https://a.example/y", Proposal{Host: "a.example", PathAllowlist: []string{"/y"}, Methods: []string{"PUT"}}},
		{"PUT", "https://z.b.example/y", Proposal{Host: "*.b.example", Methods: []string{"PUT"}}},
		{"GET", "https://z.b.example/y", Proposal{Host: "*.b.example"}},
		{"GET", "https://c.example/x", Proposal{Host: "c.example"}},
		{"GET", "https://c.example/y", Proposal{Host: "c.example", PathAllowlist: []string{"/y"}}},
		{"GET", "https://d.example/", Proposal{}},         // allowed
		{"TRACE", "https://d.example/", Proposal{}},       // never
		{"get", "https://a.example/x", Proposal{}},        // no method of a list
		{"GET", "https://d.example:8443/", Proposal{}},    // the operator's
		{"GET", "https://new.example/a/../b", Proposal{}}, // no path of a list
	}
	for _, c := range cases {
		q, err := NewQuery(c.method, c.url, scriptNow)
		if err != nil {
			t.Fatal(err)
		}
		q.Uses = uses
		p, ok := Cure(table, q)
		if !reflect.DeepEqual(p, c.want) || ok != (c.want.Host != "") {
			t.Errorf("%s %s: got %+v, %v; want %+v", c.method, c.url, p, ok, c.want)
		}
	}
}

// What Cure proposes cures, and is no more than asked for.
func TestCureCures(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	pick := func(list ...string) string { return list[rnd.Intn(len(list))] }
	cured := 0
	for range 3000 {
		var routes []Route
		for _, host := range []string{"a.example", "*.a.example", "b.example"} {
			r := Route{Host: host}
			if rnd.Intn(2) == 0 {
				r.PathAllowlist = []string{pick("/", "/x", "/y/z")}
			}
			if rnd.Intn(2) == 0 {
				r.Methods = []string{pick("GET", "POST")}
			}
			if rnd.Intn(4) == 0 {
				r.Expires = scriptNow.Add(-time.Hour)
			}
			routes = append(routes, r)
		}
		table, err := New(routes[:rnd.Intn(4)])
		if err != nil {
			t.Fatal(err)
		}
		q, err := NewQuery(pick("GET", "POST", "TRACE", "x y"), "https://"+pick("a", "s.a", "b", "c")+".example"+pick("", ":8443")+pick("/", "/x", "/y/z/1", "/a//b"), scriptNow)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := Cure(table, q)
		if !ok {
			continue
		}
		cured++
		if len(p.PathAllowlist) > 1 || len(p.Methods) > 1 {
			t.Fatalf("%+v is more than %+v", p, q)
		}
		next, _, err := Merge(table.renewed(p.Host), p)
		if err != nil {
			t.Fatal(err)
		}
		if d := next.Match(q); !d.Allow {
			t.Fatalf("%+v\nmerged into %s\ndoes not allow %+v: %s", p, table.Encode(), q, d.Reason)
		}
	}
	if cured < 500 {
		t.Errorf("only %d cured", cured)
	}
}
