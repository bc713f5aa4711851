package bottle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPipelockTLS(t *testing.T) {
	cases := map[string]struct {
		intercept   bool
		passthrough []string
	}{
		"{program: p}":                               {true, DefaultPassthrough()},
		"{program: p, intercept: false}":             {false, nil},
		"{program: p, passthrough: []}":              {true, nil},
		"{program: p, passthrough: [a.example.com]}": {true, []string{"a.example.com"}},
		"{program: p, config: own.yaml}":             {false, nil},
	}
	for text, want := range cases {
		got := mustParse(t, "pipelock: "+text).Pipelock
		if got.Intercept != want.intercept || !slices.Equal(got.Passthrough, want.passthrough) {
			t.Errorf("%s: got %v, %v", text, got.Intercept, got.Passthrough)
		}
	}
}

// TestDefaultPassthrough: the list names the agents' hosts and no wildcard, since
// what is on it is not scanned.
func TestDefaultPassthrough(t *testing.T) {
	list := DefaultPassthrough()
	for _, want := range []string{"api.anthropic.com", "api.openai.com", "pypi.org"} {
		if !slices.Contains(list, want) {
			t.Errorf("%s is missing", want)
		}
	}
	m := mustParse(t, "egress: {allowlist: ["+strings.Join(list, ", ")+"]}")
	if !slices.Equal(m.Allowlist, list) {
		t.Errorf("as hosts of routes: got %v", m.Allowlist)
	}
	if slices.ContainsFunc(list, func(h string) bool { return strings.HasPrefix(h, "*") }) {
		t.Errorf("a wildcard in %v", list)
	}
}

// TestPassthroughOfTools: a profile's registry is passed where the tool's own
// configuration names it, unless the manifest has a list.
func TestPassthroughOfTools(t *testing.T) {
	bin := t.TempDir()
	script := "#!/bin/sh\necho '{\"registry\":\"https://mirror.example.org/npm/\"}'\n"
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	for text, want := range map[string]bool{
		"egress: {profiles: [npm]}\npipelock: {program: p}":                     true,
		"egress: {profiles: [pypi]}\npipelock: {program: p}":                    false,
		"egress: {profiles: [npm]}\npipelock: {program: p, passthrough: [a.b]}": false,
	} {
		hosts, err := mustParse(t, text).PassthroughHosts()
		if err != nil || slices.Contains(hosts, "mirror.example.org") != want {
			t.Errorf("%s: got %v, %v; wanted mirror.example.org in it: %v", text, hosts, err, want)
		}
	}
}
