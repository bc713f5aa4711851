package route

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// scriptNow is the time of testdata/match.
var scriptNow = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// A line of queries is METHOD URL, then "allow HOST", a code and the host of the
// route or of the nearest one, or "error" for what is no query at all.
func TestMatchScripts(t *testing.T) {
	for name, data := range readAll(t, "testdata/match/*.txtar") {
		t.Run(name, func(t *testing.T) {
			a := parseArchive(data)
			table := mustParse(t, a.files["routes.yaml"])
			for line := range strings.Lines(a.files["queries"]) {
				method, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
				url, want, _ := strings.Cut(rest, " ")
				if got := answer(table, method, url); got != want {
					t.Errorf("%s %s: got %s, want %s", method, url, got, want)
				}
			}
		})
	}
}

func answer(table *Table, method, url string) string {
	q, err := NewQuery(method, url, scriptNow)
	if err != nil {
		return "error"
	}
	d := table.Match(q)
	switch {
	case d.Allow:
		return "allow " + d.Route.Host
	case d.Route != nil:
		return d.Code + " " + d.Route.Host
	case d.Nearest != nil:
		return d.Code + " " + d.Nearest.Host
	}
	return d.Code
}

func TestFirstEnd(t *testing.T) {
	table := mustParse(t, `routes: [{host: a.example}, {host: b.example, expires: 2031-01-01T00:00:00Z}, {host: c.example, expires: 2030-06-01T00:00:00Z}, {host: d.example, expires: 2029-01-01T00:00:00Z}]`)
	if end := table.FirstEnd(scriptNow); end == nil || end.Format(time.RFC3339) != "2030-06-01T00:00:00Z" {
		t.Errorf("%v", end)
	}
	if end := table.FirstEnd(scriptNow.AddDate(2, 0, 0)); end != nil {
		t.Errorf("%v; wanted none", end)
	}
}

// A used-up route says so, but only to what it would let through.
func TestMatchUsedUp(t *testing.T) {
	table := mustParse(t, `routes: [{host: a.example, path_allowlist: [/x], max_uses: 2}, {host: "*.b.example", max_uses: 1}]`)
	cases := []struct {
		url  string
		uses map[string]int64
		want string
	}{
		{"https://a.example/x", nil, ""},
		{"https://a.example/x", map[string]int64{"a.example": 1}, ""},
		{"https://a.example/x", map[string]int64{"a.example": 2}, "route 'a.example' is used up: it was granted for 2 uses"},
		{"https://a.example/y", map[string]int64{"a.example": 2}, "path '/y' is not in the path_allowlist of route 'a.example'"},
		{"https://c.b.example/", map[string]int64{"c.b.example": 1}, ""},
		{"https://c.b.example/", map[string]int64{"*.b.example": 5}, "route '*.b.example' is used up: it was granted for 1 use"},
	}
	for _, c := range cases {
		q, err := NewQuery("GET", c.url, scriptNow)
		if err != nil {
			t.Fatal(err)
		}
		q.Uses = c.uses
		d := table.Match(q)
		if d.Reason != c.want || d.Allow != (c.want == "") {
			t.Errorf("%s with %v: %+v; want %q", c.url, c.uses, d, c.want)
		}
		if d.Code == RouteUsedUp && d != d.Route.UsedUp() {
			t.Errorf("%s: Match and UsedUp differ", c.url)
		}
	}
}

func TestMatchReasons(t *testing.T) {
	table := mustParse(t, `routes: [{host: a.example, path_allowlist: [/x]}, {host: b.example, methods: [GET], expires: 2029-01-01T00:00:00Z}, {host: c.example, methods: [GET], ports: [80]}]`)
	cases := []struct{ method, url, want string }{
		{"GET", "https://h.test/", "host 'h.test' is not in the bottle's egress_proxy.routes allowlist"},
		{"GET", "https://a.example/y", "path '/y' is not in the path_allowlist of route 'a.example'"},
		{"GET", "https://a.example/x/\x1b[0m", `path "/x/\x1b[0m" could be read as another path: it contains a control byte or a space`},
		{"GET", "https://a.example/x'y", `path "/x'y" is not in the path_allowlist of route 'a.example'`},
		{"GET", "https://b.example/", "route 'b.example' expired at 2029-01-01T00:00:00Z"},
		{"PUT", "http://c.example/", "method 'PUT' is not allowed by route 'c.example'"},
		{"GET", "https://c.example/", "port 443 for https is not allowed by route 'c.example'"},
	}
	for _, c := range cases {
		q, err := NewQuery(c.method, c.url, scriptNow)
		if err != nil {
			t.Fatal(err)
		}
		if d := table.Match(q); d.Allow || d.Reason != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.method, c.url, d.Reason, c.want)
		}
	}
	d := table.Match(Query{Scheme: "https", Host: "a.example", Port: 443, Method: "GET", Path: "/" + strings.Repeat("y", 1<<16)})
	if len(d.Reason) > 300 {
		t.Errorf("a long path makes a reason of %d bytes", len(d.Reason))
	}
}

// Targets that no URL can express, but a request line can.
func TestMatchOddTargets(t *testing.T) {
	table := mustParse(t, `routes: [{host: a.example, path_allowlist: [/]}]`)
	for _, path := range []string{"", "*", "x", "https://a.example/x", "/x#y", "/x?y", "/x y", "/x\x00", "/x\ty", "/\xff", "/x\x7f"} {
		d := table.Match(Query{Scheme: "https", Host: "a.example", Port: 443, Method: "GET", Path: path})
		if d.Allow || d.Code != PathAmbiguous {
			t.Errorf("target %q: %+v", path, d)
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	table := lookups(t, 1000)
	for _, ask := range asked {
		q := ask.query()
		if n := testing.AllocsPerRun(100, func() {
			if ask.allow && !table.Match(q).Allow || !ask.allow && table.Lookup(q.Host) != nil {
				t.Fatal(q.Host)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", ask.name, n)
		}
	}
}

// The longest table answers in the time of a short one, give or take a fifth. Of
// many short rounds in turn the fastest count, which others on the machine did
// not disturb.
func TestMatchIsFlat(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("-short, or the race detector, which changes the proportions")
	}
	short, long := lookups(t, 10), lookups(t, MaxRoutes)
	for _, ask := range asked {
		q := ask.query()
		a, b := time.Hour, time.Hour
		for round := 0; round < 50 || round < 3000 && b > a+a/5; round++ {
			a, b = min(a, timed(short, q)), min(b, timed(long, q))
		}
		t.Logf("%s: %v and %v", ask.name, a/matchRound, b/matchRound)
		if b > a+a/5 {
			t.Errorf("%s: %v among 10 routes, %v among %d", ask.name, a/matchRound, b/matchRound, MaxRoutes)
		}
	}
}

const matchRound = 500

// timed is how long matchRound answers take.
func timed(table *Table, q Query) time.Duration {
	start := time.Now()
	for range matchRound {
		table.Match(q)
	}
	return time.Since(start)
}

// Lookup of the index is what a search of all routes finds: the exact one, else
// the wildcard with the longest suffix.
func TestLookupIsASearch(t *testing.T) {
	names := []string{"a", "b.a", "c.b.a", "d.c.b.a", "b", "x.y.z", "y.z", "z", "10.0.0.1", "0.0.1"}
	for mask := range 1 << 8 {
		var routes []Route
		for i := range 8 {
			if mask>>i&1 == 1 {
				routes = append(routes, Route{Host: []string{"b.a", "*.b.a", "*.c.b.a", "d.c.b.a", "*.y.z", "10.0.0.1", "*.d.c.b.a", "c.b.a"}[i]})
			}
		}
		table, err := New(routes)
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range names {
			got, want := table.Lookup(host), search(routes, host)
			if (got == nil) != (want == "") || got != nil && got.Host != want {
				t.Errorf("%s in %v: got %v, want %q", host, routes, got, want)
			}
		}
	}
}

func search(routes []Route, host string) (best string) {
	for _, r := range routes {
		if r.Host == host {
			return host
		}
		suffix, wild := strings.CutPrefix(r.Host, "*.")
		if wild && (host == suffix || strings.HasSuffix(host, "."+suffix)) && len(r.Host) > len(best) {
			best = r.Host
		}
	}
	return best
}

func TestCanonicalHost(t *testing.T) {
	long := strings.Repeat("a.", 126) + "b"
	for in, want := range map[string]string{
		"A.Example": "a.example", "a.example.": "a.example", "_x-1.a": "_x-1.a", "10.0.0.1": "10.0.0.1", "10.0.0.1.": "10.0.0.1",
		"::1": "::1", "2001:DB8::0:1": "2001:db8::1", long: long, "xn--bcher-kva.example": "xn--bcher-kva.example", "a.0xg": "a.0xg",
	} {
		if got, err := CanonicalHost(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", ".", "..", "a..b", ".a", "a..", "a b", "a\x00", "ä.example", "\u212a.example", "a%2eb", "a@b", "[::1]", "a:1", "a/b", "*.a",
		"127.1", "0x7f.1", "2130706433", "010.0.0.1", "1.2.3.4.5", "256.0.0.1", "a.0x7f", "a.7", "0x", "::ffff:1.2.3.4", "fe80::1%eth0", "1::2::3",
		long + "c", strings.Repeat("a", 64)} {
		if got, err := CanonicalHost(in); err == nil {
			t.Errorf("%q: got %q, want it refused", in, got)
		}
	}
}

// traversal is an independent reading of what a hostile server could make of a
// path: all decodings, then dot segments or separators.
func traversal(path string) bool {
	for range 8 {
		for _, seg := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
			seg, _, _ = strings.Cut(seg, ";")
			if seg == "." || seg == ".." {
				return true
			}
		}
		if strings.ContainsAny(path, "\\\x00") || strings.Contains(path, "//") {
			return true
		}
		path = decodeLeniently(path)
	}
	return false
}

func decodeLeniently(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var c byte
		if i+2 < len(s) && s[i] == '%' {
			if n, _ := fmt.Sscanf(s[i+1:i+3], "%02x", &c); n == 1 && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0 {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
