package bottle

import (
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
