package bottle

import (
	"bytes"
	"encoding/json"
	"strings"
)

// An Inside is what a home in the bottle has to name.
type Inside struct {
	Workspace  string   // as the agent sees it
	Superviser []string // the command that joins an MCP client to the superviser
}

// Home are files for the agent's private home, by their path in it: what the
// agent would ask its user first (is this folder trusted, which theme), and the
// superviser as an MCP server whose tools need no asking, since the operator is
// asked anyway. Nothing for an agent that is not known.
func Home(m *Manifest, in Inside) map[string][]byte {
	switch m.Agent {
	case "claude":
		return claudeHome(in)
	case "codex":
		return codexHome(in)
	case "gemini":
		return geminiHome(in)
	}
	return nil
}

// object is a JSON object.
type object = map[string]any

// claudeHome: without onboarding the first start asks for a theme and dials
// platform.claude.com; without trust the default answer ends it (measured with
// 2.1.330). An API key is asked about unless its last 20 characters are known.
func claudeHome(in Inside) map[string][]byte {
	state := object{
		"hasCompletedOnboarding": true, "lastOnboardingVersion": "2.1.330", "theme": "dark",
		"customApiKeyResponses": object{"approved": []string{Placeholder[len(Placeholder)-20:]}, "rejected": []string{}},
		"projects":              object{in.Workspace: object{"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
		"mcpServers":            object{"superviser": object{"type": "stdio", "command": in.Superviser[0], "args": in.Superviser[1:]}},
	}
	settings := object{"permissions": object{"allow": []string{"mcp__superviser"}}}
	return map[string][]byte{".claude.json": encode(state), ".claude/settings.json": encode(settings)}
}

// codexHome: a call may wait for the operator as long as superviser lets it, and
// the key that it asks for is the placeholder. Its own sandbox makes namespaces,
// which the bottle forbids: no command would run. The features are those that dial
// chatgpt.com and github.com at each start (measured with 0.171.0).
// https://developers.openai.com/codex/config-reference
func codexHome(in Inside) map[string][]byte {
	var b strings.Builder
	b.WriteString("check_for_update_on_startup = false\nsandbox_mode = \"danger-full-access\"\n")
	b.WriteString("[features]\napps = false\nplugins = false\napi_key_model_discovery = false\n")
	b.WriteString("[analytics]\nenabled = false\n")
	b.WriteString("[projects." + quote(in.Workspace) + "]\ntrust_level = \"trusted\"\n")
	b.WriteString("[mcp_servers.superviser]\ncommand = " + quote(in.Superviser[0]) + "\nargs = [")
	for i, a := range in.Superviser[1:] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(a))
	}
	b.WriteString("]\ntool_timeout_sec = 300\ndefault_tools_approval_mode = \"approve\"\n")
	return map[string][]byte{".codex/config.toml": []byte(b.String()), ".codex/auth.json": encode(object{"OPENAI_API_KEY": Placeholder})}
}

// geminiHome: https://geminicli.com/docs/reference/configuration
func geminiHome(in Inside) map[string][]byte {
	return map[string][]byte{".gemini/settings.json": encode(object{
		"general":    object{"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
		"privacy":    object{"usageStatisticsEnabled": false},
		"security":   object{"auth": object{"selectedType": "gemini-api-key"}},
		"mcpServers": object{"superviser": object{"command": in.Superviser[0], "args": in.Superviser[1:], "trust": true}},
	}), ".gemini/trustedFolders.json": encode(object{in.Workspace: "TRUST_FOLDER"})}
}

// encode is v as JSON, with <, > and & as they are.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err) // maps of strings
	}
	return b.Bytes()
}

// quote is s as a string of TOML or YAML: both take JSON's.
func quote(s string) string { return strings.TrimSpace(string(encode(s))) }
