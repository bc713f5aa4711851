package main

import (
	"bottle/pkg/bottle"
	"bottle/pkg/cli"
)

// An api is what an agent asks with a credential of the operator's.
type api struct {
	variable string // of the operator's, with the credential
	what     string // what that is
	host     string
	key      bool     // the agent reads the same variable, which holds a placeholder inside
	route    []string // lines of the route besides its host
}

var (
	claudeToken = api{"CLAUDE_CODE_OAUTH_TOKEN", "claude setup-token prints it", "api.anthropic.com", false,
		[]string{"role: claude_code_oauth", "auth: {scheme: Bearer, token_ref: CLAUDE_CODE_OAUTH_TOKEN} # of 'claude setup-token'"}}
	anthropicKey = api{"ANTHROPIC_API_KEY", "a key of the API", "api.anthropic.com", true,
		[]string{"auth_header: x-api-key", "auth: {token_ref: ANTHROPIC_API_KEY}"}}
	openAIKey = api{"OPENAI_API_KEY", "a key of the API", "api.openai.com", true,
		[]string{"path_allowlist: [/v1]", "auth: {scheme: Bearer, token_ref: OPENAI_API_KEY}"}}
	geminiKey = api{"GEMINI_API_KEY", "a key of the API", "generativelanguage.googleapis.com", true,
		[]string{"auth_header: x-goog-api-key", "auth: {token_ref: GEMINI_API_KEY}"}}
)

// findAPIs decides what the agent asks: the one that it is made for, by which of its
// credentials there is, or those of several makers that there is a key for.
func (f *found) findAPIs() {
	switch f.agent.name {
	case "claude":
		f.apis = []api{claudeToken}
		if f.getenv(claudeToken.variable) == "" && f.getenv(anthropicKey.variable) != "" {
			f.apis = []api{anthropicKey}
		}
	case "codex":
		f.apis = []api{openAIKey}
	case "gemini":
		f.apis = []api{geminiKey}
	case "opencode", "aider":
		for _, a := range []api{anthropicKey, openAIKey} {
			if f.getenv(a.variable) != "" {
				f.apis = append(f.apis, a)
			}
		}
		if f.apis == nil {
			f.left = append(f.left, "the API that "+f.agent.name+" asks: neither ANTHROPIC_API_KEY nor OPENAI_API_KEY is set; wanted one of them, or a route of yours")
		}
	}
}

// agentEnv: Claude Code with an API key is told by variables what it is told by
// the role otherwise.
func (f *found) agentEnv() (vars []bottle.Var) {
	for _, a := range f.apis {
		if !a.key {
			continue
		}
		vars = append(vars, bottle.Var{Name: a.variable, Value: bottle.Placeholder})
		if f.agent.name == "claude" {
			vars = append(vars, bottle.Var{Name: "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", Value: "1"}, bottle.Var{Name: "DISABLE_TELEMETRY", Value: "1"},
				bottle.Var{Name: "MCP_CONNECTION_NONBLOCKING", Value: "0"},
				bottle.Var{Name: "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", Value: "1"})
		}
	}
	return vars
}

func (f *found) writeAPI(t *text) {
	for _, a := range f.apis {
		if f.from.names(a.host) { // as it was there
			continue
		}
		t.line("    - host: %s", a.host)
		for _, l := range a.route {
			t.line("      %s", l)
		}
	}
}

// sayMissing names the variables of the manifest that are not set.
func (f *found) sayMissing(env *cli.Env) {
	for _, a := range f.apis {
		if f.getenv(a.variable) == "" {
			note(env, "before bottlerun run: export %s=...  (%s)", a.variable, a.what)
		}
	}
}
