package bottle

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestHome: each known agent trusts the workspace and has the superviser.
func TestHome(t *testing.T) {
	in := Inside{Workspace: `/w/a "b" <c>`, Superviser: []string{"/run/bottle/bin/superviser", "connect", "/run/bottle/supervise.sock"}}
	for _, agent := range Agents {
		files := Home(mustParse(t, "agent: "+agent), in)
		if (len(files) == 0) != (agent == None) {
			t.Errorf("%s: %d files", agent, len(files))
		}
		var all strings.Builder
		for name, data := range files {
			all.Write(data)
			var v any
			if strings.HasSuffix(name, ".json") && json.Unmarshal(data, &v) != nil {
				t.Errorf("%s is no JSON:\n%s", name, data)
			}
		}
		for _, want := range []string{`/w/a \"b\" <c>`, in.Superviser[0], in.Superviser[2]} {
			if agent != None && !strings.Contains(all.String(), want) {
				t.Errorf("%s: %s is missing in\n%s", agent, want, all.String())
			}
		}
	}
}

// TestHomeOfCodex: no sandbox in the sandbox, and nothing dialled but the API.
func TestHomeOfCodex(t *testing.T) {
	text := string(Home(mustParse(t, "agent: codex"), Inside{Workspace: "/w", Superviser: []string{"s"}})[".codex/config.toml"])
	for _, want := range []string{"\nsandbox_mode = \"danger-full-access\"\n[", "\nplugins = false\n", "\ndefault_tools_approval_mode = \"approve\"\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// TestEnvPlaceholder: the name of a credential may hold the placeholder, nothing else.
func TestEnvPlaceholder(t *testing.T) {
	const route = "egress_proxy: {routes: [{host: api.openai.com, auth: {scheme: Bearer, token_ref: OPENAI_API_KEY}}]}\n"
	mustParse(t, "env: {OPENAI_API_KEY: "+Placeholder+"}\n"+route)
	if _, err := Parse("m", []byte("env: {OPENAI_API_KEY: sk-1}\n"+route)); err == nil {
		t.Error("a credential is accepted")
	}
}
