package route

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"bottle/pkg/strictyaml"
)

// readAll is the content of the files that pattern names.
func readAll(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = data
	}
	return files
}

func mustParse(t testing.TB, data string) *Table {
	t.Helper()
	table, err := Parse("routes.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// An invalid file begins with one line "# want: LINE: text" per fault; no other
// fault may be reported.
func TestParseInvalid(t *testing.T) {
	for name, data := range readAll(t, "testdata/invalid/*.yaml") {
		t.Run(name, func(t *testing.T) {
			table, err := Parse("f", data)
			var faults strictyaml.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			if table != nil {
				t.Error("a table in spite of faults")
			}
			wants := wantLines(t, string(data))
			n := 0
			for line, texts := range wants {
				n += len(texts)
				for _, text := range texts {
					if !has(faults, line, text) {
						t.Errorf("no fault in line %d with %q in\n%v", line, text, err)
					}
				}
			}
			if len(faults) != n {
				t.Errorf("%d faults, want %d:\n%v", len(faults), n, err)
			}
		})
	}
}

// wantLines are the wanted texts by line.
func wantLines(t *testing.T, data string) map[int][]string {
	t.Helper()
	wants := map[int][]string{}
	for line := range strings.Lines(data) {
		rest, ok := strings.CutPrefix(line, "# want: ")
		if !ok {
			break
		}
		number, text, _ := strings.Cut(strings.TrimSpace(rest), ": ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		wants[n] = append(wants[n], text)
	}
	return wants
}

func has(faults strictyaml.Faults, line int, text string) bool {
	for _, f := range faults {
		if f.Line == line && f.Col > 0 && f.File == "f" && strings.Contains(f.Error(), text) {
			return true
		}
	}
	return false
}

// Every valid file survives Encode, and New takes what Parse made of it.
func TestParseValid(t *testing.T) {
	for name, data := range readAll(t, "testdata/valid/*.yaml") {
		t.Run(name, func(t *testing.T) {
			table, err := Parse(name, data)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("encoded", table.Encode())
			if err != nil {
				t.Fatalf("%v\n%s", err, table.Encode())
			}
			if !reflect.DeepEqual(table.Routes, again.Routes) {
				t.Errorf("encoded and parsed again:\n%s\n got %+v\nwant %+v", table.Encode(), again.Routes, table.Routes)
			}
			if _, err := New(table.Routes); err != nil {
				t.Errorf("New refuses what Parse accepts: %v", err)
			}
		})
	}
}

func TestParseAllFields(t *testing.T) {
	table, err := Parse("f", readAll(t, "testdata/valid/all-fields.yaml")["all-fields.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	r := table.Routes[0]
	if got := r.Expires.Format("2006-01-02T15:04:05Z07:00"); got != "2030-01-31T11:00:00Z" {
		t.Errorf("expires %s, want it in UTC", got)
	}
	r.Expires = r.Expires.AddDate(-10000, 0, 0)
	want := Route{Host: "api.github.com", PathAllowlist: []string{"/repos/me", "/user"}, Methods: []string{"GET", "POST", "PROPFIND"},
		Ports: []int{443, 8443}, AuthScheme: "Bearer", TokenEnv: "EGRESS_PROXY_TOKEN_0", Role: []string{RoleClaudeCodeOAuth},
		Expires: r.Expires, MaxUses: 25, Note: "several lines, \"quotes\", a tab\tand ünïcödé\n"}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
}

func TestParseConvertsUnicodeHosts(t *testing.T) {
	for in, want := range map[string]string{
		"bücher.example": "xn--bcher-kva.example", "BÜCHER.example": "xn--bcher-kva.example", "*.bücher.example": "*.xn--bcher-kva.example",
		"faß.example": "xn--fa-hia.example", "例え。テスト": "xn--r8jz45g.xn--zckzah", "ｅｘａｍｐｌｅ.com": "example.com",
	} {
		table := mustParse(t, "routes:\n  - host: \""+in+"\"\n")
		if got := table.Routes[0].Host; got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestParseDropsDoublesInLists(t *testing.T) {
	table := mustParse(t, "routes:\n  - host: a.example\n    path_allowlist: [/b, /a, /b]\n    methods: [GET, GET]\n    ports: [1, 2, 1]\n")
	want := Route{Host: "a.example", PathAllowlist: []string{"/b", "/a"}, Methods: []string{"GET"}, Ports: []int{1, 2}}
	if !reflect.DeepEqual(table.Routes[0], want) {
		t.Errorf("got %+v", table.Routes[0])
	}
}

// A long table is read in parts, with the same result and the same faults.
func TestParseInParts(t *testing.T) {
	const many = 600
	faults := []string{
		"  - host: h7.example.com\n    role: claude_code_oauth\n",
		"  - host: h8.example.com\n    role: [claude_code_oauth]\n    note: ü \"\n",
		"  - host: \"*.com\"\n    path_allowlist: [a, /b/../c]\n",
		"  - path_alowlist: [/]\n    ports: [0, 99999]\n",
		"  - h9.example.com\n",
		"  - host: ü.example.com\n    note:\n",
		"  - host: a.example.com\n    host: b.example.com\n",
		"  - host: &a c.example.com\n",
		"  - host: d.example.com\n    note: |+\n      x\n\n",
		"  - host: \"e.example.com\n\n",
		"...\n",
		"---\nroutes:\n",
		"others:\n",
		"  - {host: f.example.com, role: claude_code_oauth}\n  # comment\n",
	}
	half := string(styles[0].file(many))
	rest := strings.TrimPrefix(strings.ReplaceAll(half, "host: h", "host: g"), "routes:\n")
	for i := range faults {
		for _, more := range []string{"", faults[0], faults[(i+1)%len(faults)]} {
			data := []byte(half + faults[i] + rest + more)
			got, gotErr := Parse("f", data)
			want, wantErr := parseWhole("f", data)
			if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Errorf("%q and %q:\n got %.500v\nwant %.500v", faults[i], more, gotErr, wantErr)
			}
		}
	}
	for _, s := range styles {
		data := s.file(many)
		r := reader{w: strictyaml.NewWalker("f")}
		if !r.readParts(data) {
			t.Errorf("%s is not read in parts", s.name)
		}
		want, err := parseWhole("f", data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse("f", data); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: another table, %v", s.name, err)
		}
	}
}

func TestParseLimits(t *testing.T) {
	if _, err := Parse("f", make([]byte, MaxBytes+1)); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("too long a file: %v", err)
	}
	over := "routes:\n" + strings.Repeat("- host: a.example\n", MaxRoutes+1)
	_, err := Parse("f", []byte(over))
	if want := "f:100002:3: 100001 routes; wanted at most 100000"; err == nil || err.Error() != want {
		t.Errorf("too many routes: got %.200v, want %s", err, want)
	}
	if _, err := New(make([]Route, MaxRoutes+1)); err == nil || !strings.Contains(err.Error(), "wanted at most 100000") {
		t.Errorf("too many routes in New: %.200v", err)
	}
}

// New has no lines to point at, and points at routes.
func TestNewReportsAllFaults(t *testing.T) {
	_, err := New([]Route{
		{Host: "bücher.example"},
		{Host: "a.example", PathAllowlist: []string{}, Methods: []string{}, Ports: []int{}, Role: []string{}},
		{Host: "a.example", AuthScheme: "Bearer"},
	})
	want := `route 1: host "bücher.example" is not in canonical form; wanted "xn--bcher-kva.example"
route 2: path_allowlist is empty; wanted at least one item, or no path_allowlist at all
route 2: methods is empty; wanted at least one item, or no methods at all
route 2: ports is empty; wanted at least one item, or no ports at all
route 2: role is empty; wanted at least one item, or no role at all
route 3: half a credential; auth needs both auth_scheme and token_env, or neither
route 3: host "a.example" has a route already (route 2); wanted one route per host`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	table := mustParse(t, `{routes: [{host: "*.github.io"}, {host: "*.example.com"}, {host: "a.github.io", role: claude_code_oauth}, {host: "*.a.github.io"}]}`)
	ws := table.Warnings()
	if len(ws) != 2 || !strings.Contains(ws[0].Error(), `routes.yaml:1:18: host "*.github.io" covers every customer of github.io`) || !strings.Contains(ws[1].Error(), "routes.yaml:1:66: role") {
		t.Errorf("got %v", ws)
	}
}
