package mirror

import "testing"

func TestDecide(t *testing.T) {
	const config = `# pipelock
mode: strict
api_allowlist:
  - "api.example"
  - "*.Wild.example"
  - 10.0.0.1
  - "*.0.0.2"
tls_interception:
  enabled: true
  passthrough_domains: ["*.pinned.wild.example"]
`
	cases := []struct {
		config, host string
		want         Decision
	}{
		{config, "api.example", Decision{Allow: true, Entry: "api.example", Mode: "strict", Seen: true}},
		{config, "wild.example", Decision{Allow: true, Entry: "*.Wild.example", Mode: "strict", Seen: true}},
		{config, "a.b.wild.example", Decision{Allow: true, Entry: "*.Wild.example", Mode: "strict", Seen: true}},
		{config, "a.pinned.wild.example", Decision{Allow: true, Entry: "*.Wild.example", Mode: "strict", Passthrough: "*.pinned.wild.example"}},
		{config, "notwild.example", Decision{Mode: "strict", Seen: true}},
		{config, "10.0.0.1", Decision{Allow: true, Entry: "10.0.0.1", Mode: "strict", Seen: true}},
		{config, "10.0.0.2", Decision{Mode: "strict", Seen: true}},
		{"api_allowlist: [a.example]\n", "b.example", Decision{Allow: true, Mode: "balanced"}},
		{"mode: strict\n", "b.example", Decision{Mode: "strict"}},
	}
	for _, c := range cases {
		got, err := Decide("p.yaml", []byte(c.config), c.host)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v; want %+v", c.host, got, err, c.want)
		}
	}
	if _, err := Decide("p.yaml", []byte("api_allowlist: yes please: no\n"), "a.example"); err == nil {
		t.Error("what is no YAML is no error")
	}
}
