package route

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzParse: what Parse accepts is the same table after Encode, and after New.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/invalid/*.yaml"} {
		for _, data := range readAll(f, pattern) {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse("f", data)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a fault")
			}
			return
		}
		again, err := Parse("encoded", table.Encode())
		if err != nil {
			t.Fatalf("%v\n%s", err, table.Encode())
		}
		if !reflect.DeepEqual(table.Routes, again.Routes) || table.Digest() != again.Digest() {
			t.Fatalf("encoded:\n%s\n got %+v\nwant %+v", table.Encode(), again.Routes, table.Routes)
		}
		if _, err := New(table.Routes); err != nil {
			t.Fatalf("New refuses what Parse accepts: %v", err)
		}
		if cs := Diff(table, again); cs != nil {
			t.Fatalf("a table differs from itself: %v", cs)
		}
	})
}

// FuzzMatch: neither case nor one trailing dot of the host matters, and a path
// that is allowed has no traversal in any reading and lies below a prefix.
func FuzzMatch(f *testing.F) {
	table, err := Parse("f", []byte(`routes:
  - {host: "*.example.com", path_allowlist: [/repos/me, /dir/]}
  - {host: api.example.com, path_allowlist: [/]}
  - {host: bare.example.com}
`))
	if err != nil {
		f.Fatal(err)
	}
	for _, data := range readAll(f, "testdata/match/*.txtar") {
		for line := range strings.Lines(parseArchive(data).files["queries"]) {
			_, rest, _ := strings.Cut(line, "://")
			host, path, _ := strings.Cut(strings.Fields(rest)[0], "/")
			f.Add(host, "/"+path)
		}
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		canonical, err := CanonicalHost(host)
		if err != nil {
			return
		}
		d := table.Match(query(canonical, path))
		for _, spelling := range []string{strings.ToUpper(canonical), canonical + "."} {
			same, err := CanonicalHost(spelling)
			if strings.Contains(canonical, ":") && spelling == canonical+"." {
				continue // IPv6 has no trailing dot
			}
			if err != nil || same != canonical {
				t.Fatalf("%q is %q, %v; want %q", spelling, same, err, canonical)
			}
		}
		if !d.Allow || d.Route.PathAllowlist == nil {
			return
		}
		if traversal(path) {
			t.Fatalf("%q is allowed by %s", path, d.Route.Host)
		}
		if d.Route.Host == "*.example.com" && path != "/repos/me" && !strings.HasPrefix(path, "/repos/me/") && !strings.HasPrefix(path, "/dir/") {
			t.Fatalf("%q is outside the list", path)
		}
	})
}

func query(host, path string) Query {
	return Query{Scheme: "https", Host: host, Port: 443, Method: "GET", Path: path, Now: time.Unix(1, 0)}
}

// FuzzProposal: no proposal makes the parser panic, and one that is accepted can
// be merged.
func FuzzProposal(f *testing.F) {
	for _, data := range readAll(f, "testdata/merge/*.txtar") {
		f.Add([]byte(parseArchive(data).files["proposal.yaml"]))
	}
	empty, err := New(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProposal("p", data)
		if err != nil {
			return
		}
		if _, _, err := Merge(empty, p); err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
	})
}
