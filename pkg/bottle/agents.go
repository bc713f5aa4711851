package bottle

import (
	"path"
	"slices"
	"strings"

	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// None is the Agent of any other program.
const None = "none"

// Agents are the agents whose needs are known, and None.
var Agents = []string{"claude", "codex", "gemini", None}

// DefaultAllowlist are the hosts without which the agent does not start:
// api.anthropic.com and, for a home without onboarding, platform.claude.com for
// Claude Code (measured with 2.1.330); the API host of its maker for the others.
func DefaultAllowlist(agent string) []string {
	switch agent {
	case "claude":
		return []string{"api.anthropic.com", "platform.claude.com"}
	case "codex":
		return []string{"api.openai.com"}
	case "gemini":
		return []string{"generativelanguage.googleapis.com"}
	}
	return nil
}

// agentOf is the agent that command starts, None when it is no known one.
func agentOf(command []string) string {
	if len(command) == 0 {
		return None
	}
	if name := path.Base(command[0]); slices.Contains(Agents, name) {
		return name
	}
	return None
}

// SetCommand replaces the command, as one given to the launcher does. The agent
// follows it unless the manifest names one. A program that is the manifest's by its
// name alone, or by its agent's, is that one: it need not be in the agent's PATH.
func (m *Manifest) SetCommand(command []string) {
	if len(m.Command) > 0 && m.programIs(command[0]) {
		command = append([]string{m.Command[0]}, command[1:]...)
	}
	m.Command = command
	if !m.agentNamed {
		m.Agent = agentOf(command)
	}
}

func (m *Manifest) programIs(name string) bool {
	base := path.Base(m.Command[0])
	return name == base || name == strings.TrimSuffix(base, path.Ext(base)) || name == m.Agent && name != None
}

func (m *reader) readAgent(n *yaml.Node) {
	s, ok := m.String(n, "agent")
	if ok && !slices.Contains(Agents, s) {
		m.Fault(n, "unknown agent "+strictyaml.Quote(s), "wanted one of "+strings.Join(Agents, ", "))
	}
	m.Agent, m.agentNamed = s, true
}
