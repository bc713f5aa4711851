package bottle

import (
	"reflect"
	"slices"
	"testing"

	"bottle/pkg/route"
)

func mustParse(t *testing.T, text string) *Manifest {
	t.Helper()
	m, err := Parse("bottle.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func hosts(t *route.Table) (list []string) {
	for _, r := range t.Routes {
		list = append(list, r.Host)
	}
	return list
}

func TestEffectiveRoutes(t *testing.T) {
	cases := map[string]struct {
		manifest string
		want     []string
	}{
		"nothing":              {"name: x", nil},
		"defaults":             {"command: [claude]", []string{"api.anthropic.com", "platform.claude.com"}},
		"order":                {"agent: codex\negress: {allowlist: [b.test, a.test]}\negress_proxy: {routes: [{host: c.test}]}", []string{"c.test", "b.test", "a.test", "api.openai.com"}},
		"manifest wins":        {"agent: claude\negress_proxy: {routes: [{host: api.anthropic.com, path_allowlist: [/v1]}]}", []string{"api.anthropic.com", "platform.claude.com"}},
		"its wildcards too":    {"agent: claude\negress: {allowlist: [a.b.x.test, '*.b.x.test', x.test]}\negress_proxy: {routes: [{host: '*.anthropic.com', path_allowlist: [/v1]}, {host: '*.x.test'}]}", []string{"*.anthropic.com", "*.x.test", "platform.claude.com"}},
		"a wider entry stays":  {"egress: {allowlist: ['*.x.test']}\negress_proxy: {routes: [{host: x.test, path_allowlist: [/v1]}]}", []string{"x.test", "*.x.test"}},
		"default in allowlist": {"agent: claude\negress: {allowlist: [platform.claude.com]}", []string{"platform.claude.com", "api.anthropic.com"}},
	}
	for name, c := range cases {
		table, _, err := EffectiveRoutes(mustParse(t, c.manifest))
		if err != nil || !slices.Equal(hosts(table), c.want) {
			t.Errorf("%s: got %q, %v; want %q", name, hosts(table), err, c.want)
		}
	}
}

func TestAddedRoutesAreBare(t *testing.T) {
	table, _, err := EffectiveRoutes(mustParse(t, "agent: claude\negress: {allowlist: [a.test]}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range table.Routes {
		if !reflect.DeepEqual(r, route.Route{Host: r.Host}) {
			t.Errorf("%+v is more than a host", r)
		}
	}
}

func TestSlots(t *testing.T) {
	m := mustParse(t, `egress_proxy:
  routes:
    - {host: a.test, auth: {scheme: Bearer, token_ref: A}}
    - {host: b.test}
    - {host: c.test, auth: {token_ref: B}, auth_header: x-api-key}
    - {host: d.test, auth: {scheme: token, token_ref: A}}
`)
	table, slots, err := EffectiveRoutes(m)
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, r := range table.Routes {
		env = append(env, r.TokenEnv)
	}
	if want := []string{"EGRESS_PROXY_TOKEN_0", "", "EGRESS_PROXY_TOKEN_1", "EGRESS_PROXY_TOKEN_2"}; !slices.Equal(env, want) {
		t.Errorf("token_env: got %q, want %q", env, want)
	}
	if want := map[string]string{"EGRESS_PROXY_TOKEN_0": "A", "EGRESS_PROXY_TOKEN_1": "B", "EGRESS_PROXY_TOKEN_2": "A"}; !reflect.DeepEqual(slots, want) {
		t.Errorf("slots: got %v, want %v", slots, want)
	}
	if again, _, _ := EffectiveRoutes(m); again.Digest() != table.Digest() {
		t.Error("asked twice, two answers")
	}
}

func TestPipelockAllowlist(t *testing.T) {
	names, _, err := PipelockAllowlist(mustParse(t, "agent: claude\negress: {allowlist: ['*.x.test']}"))
	if want := []string{"*.x.test", "api.anthropic.com", "platform.claude.com", "x.test"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("got %q, %v; want %q", names, err, want)
	}
}
