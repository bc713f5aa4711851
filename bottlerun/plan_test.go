package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bottle/pkg/bottle"
)

func TestExamplesParse(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := bottle.Parse(f, data)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bottle.EffectiveRoutes(m); err != nil {
			t.Error(err)
		}
	}
}

func TestSlugOf(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "My Project": "my-project", ".config": "config", "é": "", "a_b.c": "a-b-c",
		strings.Repeat("x", 80): strings.Repeat("x", 63),
	} {
		if got := slugOf(in); got != want {
			t.Errorf("slugOf(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTokens(t *testing.T) {
	env := map[string]string{"GOOD": "value", "CONTROL": "secret\nline"}
	p := &plan{getenv: func(k string) string { return env[k] }}
	p.slots = map[string]string{"EGRESS_PROXY_TOKEN_0": "GOOD"}
	if err := p.findTokens(options{}); err != nil || p.tokens["EGRESS_PROXY_TOKEN_0"] != "value" {
		t.Errorf("got %v, %v", p.tokens, err)
	}
	p.slots = map[string]string{"EGRESS_PROXY_TOKEN_0": "MISSING", "EGRESS_PROXY_TOKEN_1": "CONTROL"}
	err := p.findTokens(options{})
	if err == nil || !strings.Contains(err.Error(), "MISSING") || !strings.Contains(err.Error(), "CONTROL") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v; wanted both variables named and no value", err)
	}
}

func TestOverride(t *testing.T) {
	got := override([]string{"A=1", "B=2", "C=3"}, []string{"B=4", "D=5"})
	if want := []string{"A=1", "C=3", "B=4", "D=5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestKeepsManifest: the manifest of this folder may lie anywhere in the
// workspace, and the next start believes it.
func TestKeepsManifest(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{manifest: &bottle.Manifest{}}
	if err := p.setPolicy(options{}); err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "bottle.yaml"); !slices.Contains(p.policy.Keep, want) {
		t.Errorf("kept are %v; wanted %s among them", p.policy.Keep, want)
	}
}
