package route

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// An archive holds now.yaml and proposal.yaml, and the want.yaml and merged.json
// that come of them; -update rewrites these two.
func TestMergeScripts(t *testing.T) {
	for name, data := range readAll(t, "testdata/merge/*.txtar") {
		t.Run(name, func(t *testing.T) {
			a := parseArchive(data)
			now := mustParse(t, a.files["now.yaml"])
			before := now.Digest()
			p, err := ParseProposal("proposal.yaml", []byte(a.files["proposal.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			next, m, err := Merge(now, p)
			if err != nil {
				t.Fatal(err)
			}
			merged, _ := json.Marshal(m)
			got := map[string]string{"want.yaml": string(next.Encode()), "merged.json": string(merged) + "\n"}
			for file, text := range got {
				if *update {
					a.files[file] = text
				}
				if text != a.files[file] {
					t.Errorf("%s: got\n%s\nwant\n%s", file, text, a.files[file])
				}
			}
			if now.Digest() != before {
				t.Error("the old table was changed")
			}
			if *update {
				if err := os.WriteFile(filepath.Join("testdata/merge", name), a.encode(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestParseProposalRefuses(t *testing.T) {
	cases := map[string]string{
		`{}`:                                    "p:1:1: host is missing; wanted host: NAME",
		`{"host": null}`:                        "p:1:10: host is null; wanted a string",
		`{"host": "*.com"}`:                     `p:1:10: host "*.com" covers a public suffix; wanted a domain below com`,
		`{"host": "a.example", "path": "/x"}`:   `p:1:23: unknown key "path" in the proposal; did you mean path_allowlist`,
		`{"host": "a.example", "tls": "x"}`:     `p:1:23: unknown key "tls" in the proposal; wanted one of host, path_allowlist, methods, auth, justification`,
		`{"host": "a.example", "methods": []}`:  "p:1:34: methods is empty; wanted at least one item, or no methods at all",
		`{"host": "a.example", "auth": {}}`:     "p:1:31: half a credential; auth needs both scheme and token_ref",
		`{"host": "a.example", "auth": "x"}`:    "p:1:31: auth is a string; wanted a mapping with scheme, token_ref",
		`{"host": "a.example:443"}`:             `p:1:10: host "a.example:443" has a port; wanted the host alone, as in api.example.com; ports go into ports`,
		`[]`:                                    "p:1:1: the proposal is a list; wanted a mapping with host, path_allowlist, methods, auth, justification",
		`{"host": "a.example", "justification"`: "p:1:1: not YAML: did not find expected ',' or '}'; wanted one well-formed YAML document",
		`{"host": "a.example", "path_allowlist": ["/a/../b"], "auth": {"scheme": "Bearer", "token_ref": "A-B"}}`: `p:1:42: path "/a/../b" could be read as another path: it contains a dot segment; wanted a plain path prefix
p:1:96: token_ref "A-B" is no name of an environment variable; wanted letters, digits and _, not beginning with a digit`,
	}
	for in, want := range cases {
		_, err := ParseProposal("p", []byte(in))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", in, err, want)
		}
	}
	if _, err := ParseProposal("p", []byte("host: "+strings.Repeat("a", proposalMax))); err == nil {
		t.Error("a huge proposal was accepted")
	}
}

func TestMergeRefuses(t *testing.T) {
	table := mustParse(t, "routes: []")
	for _, p := range []Proposal{{}, {Host: "*"}, {Host: "a.example", PathAllowlist: []string{"x"}}, {Host: "a.example", Auth: &ProposalAuth{}}} {
		if next, _, err := Merge(table, p); err == nil {
			t.Errorf("%+v gave %s", p, next.Encode())
		}
	}
}

// randomTable and randomProposal draw from few hosts and paths, so that they meet.
func randomTable(rng *rand.Rand) *Table {
	var routes []Route
	for _, h := range pick(rng, testHosts) {
		r := Route{Host: h, PathAllowlist: pick(rng, testPaths), Methods: pick(rng, testMethods)}
		if rng.IntN(3) == 0 {
			r.AuthScheme, r.TokenEnv = "Bearer", nextSlot(routes)
		}
		if rng.IntN(6) == 0 {
			r = Route{Host: h, TLS: Passthrough}
		}
		routes = append(routes, r)
	}
	t, err := New(routes)
	if err != nil {
		panic(err)
	}
	return t
}

func randomProposal(rng *rand.Rand) Proposal {
	p := Proposal{Host: testHosts[rng.IntN(len(testHosts))], PathAllowlist: pick(rng, testPaths), Methods: pick(rng, testMethods)}
	if rng.IntN(2) == 0 {
		p.Auth = &ProposalAuth{"Basic", "OTHER"}
	}
	return p
}

var (
	testHosts   = []string{"example.com", "*.example.com", "a.example.com", "*.a.example.com", "b.a.example.com", "x.test", "10.0.0.1", "::1"}
	testPaths   = []string{"/", "/a", "/a/", "/a/b", "/c"}
	testMethods = []string{"GET", "POST", "PUT"}
)

// pick is some of list in random order, nil when that is none.
func pick(rng *rand.Rand, list []string) []string {
	list = slices.Clone(list)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if list = list[:rng.IntN(len(list)+1)]; len(list) == 0 {
		return nil
	}
	return list
}

func TestMergeProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		now, p := randomTable(rng), randomProposal(rng)
		once, m, err := Merge(now, p)
		if err != nil {
			t.Fatalf("%s\n%+v: %v", now.Encode(), p, err)
		}
		twice, again, err := Merge(once, p)
		if err != nil || !reflect.DeepEqual(once.Routes, twice.Routes) || again.Changed {
			t.Fatalf("merged twice:\n%s\nonce:\n%s\n%+v, %v", twice.Encode(), once.Encode(), again, err)
		}
		if changed := once.Digest() != now.Digest(); changed != m.Changed {
			t.Fatalf("changed is %v, Merge says %v", changed, m.Changed)
		}
		if changes := Diff(now, once); (len(changes) > 0) != m.Changed {
			t.Fatalf("Diff says %v, Merge %+v", changes, m)
		}
		if once.Routes[m.Index].Host != p.Host {
			t.Fatalf("index %d is %s, want %s", m.Index, once.Routes[m.Index].Host, p.Host)
		}
		keeps(t, now, once)
	}
}

// keeps checks that next has every route of now with at least what it allowed
// and exactly its credential.
func keeps(t *testing.T, now, next *Table) {
	t.Helper()
	for i, was := range now.Routes {
		is := next.Routes[i]
		if was.Host != is.Host || was.TLS != is.TLS || credential(&was) != credential(&is) {
			t.Fatalf("%+v became %+v", was, is)
		}
		if (was.PathAllowlist == nil) != (is.PathAllowlist == nil) || len(is.PathAllowlist) < len(was.PathAllowlist) ||
			!slices.Equal(is.PathAllowlist[:len(was.PathAllowlist)], was.PathAllowlist) {
			t.Fatalf("paths %q became %q", was.PathAllowlist, is.PathAllowlist)
		}
	}
}

// Whatever Match allows, the mirror names, or says that it cannot.
func TestHostsCoverMatch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	asked := []string{"example.com", "a.example.com", "b.a.example.com", "z.example.com", "z.b.a.example.com", "barexample.com", "x.test", "y.x.test", "10.0.0.1", "::1"}
	for range 2000 {
		table := randomTable(rng)
		names, left := table.Hosts()
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Fatalf("not sorted, or doubles: %q", names)
		}
		for _, host := range asked {
			if table.Lookup(host) != nil && !mirrored(names, host) && !slices.Contains(left, host) {
				t.Fatalf("%s is allowed by\n%s\nand not among %q, %q", host, table.Encode(), names, left)
			}
		}
	}
}

// mirrored is how pipelock reads its allowlist.
func mirrored(names []string, host string) bool {
	for _, n := range names {
		if suffix, ok := strings.CutPrefix(n, "*."); ok && (host == suffix || strings.HasSuffix(host, "."+suffix)) || n == host {
			return true
		}
	}
	return false
}

func TestHosts(t *testing.T) {
	table := mustParse(t, `routes: [{host: z.example}, {host: "*.b.example"}, {host: b.example}, {host: 10.0.0.1}, {host: "::1"}]`)
	names, left := table.Hosts()
	if want := []string{"*.b.example", "10.0.0.1", "b.example", "z.example"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if want := []string{"::1"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
