// Package bottle is the document bottle.yaml: what one bottle is, and what
// follows from it: its routes, its allowlist for pipelock, its agent's environment.
package bottle

import (
	"net/netip"
	"path/filepath"
	"time"

	"bottle/pkg/route"
	"bottle/pkg/state"
	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// MaxBytes is the largest manifest that is read.
const MaxBytes = 16 << 20

// A Manifest says what one bottle is. Paths are as written: relative ones are
// meant from the folder of the manifest.
type Manifest struct {
	// Name is the bottle's slug, "" when the manifest leaves it to the launcher.
	Name string
	// Agent is one of Agents. It decides DefaultAllowlist.
	Agent string
	// Command is the agent with its arguments; nil when none is given.
	Command []string
	// Workspace is the one folder that the agent sees; "" when none is given.
	Workspace string
	// Env are variables for the agent, in the order of the file.
	Env []Var
	// Backend is local or docker; "" leaves it to the launcher.
	Backend string
	// Image and Dockerfile are for the docker backend, at most one of them.
	Image, Dockerfile string
	// Allowlist are hosts that pass without path filter or credential, in the
	// canonical form of route.Route.Host.
	Allowlist []string
	// Profiles are names of pkg/profile whose routes the bottle gets as well.
	Profiles []string
	// ReadOnly are host files or folders that the agent is shown besides.
	ReadOnly []string
	// Clients are those that need more than variables; see Clients and Files.
	Clients     []string
	EgressProxy EgressProxy
	Pipelock    Pipelock
	Protect     Protect
	Docker      Docker
	Limits      Limits

	agentNamed  bool // by the key agent, and not derived from the command
	passDefault bool // pipelock.passthrough is ours, and not the manifest's
}

// A Var is one variable of the agent's environment.
type Var struct{ Name, Value string }

// EgressProxy is what the bottle's proxy is told.
type EgressProxy struct {
	Routes []route.ManifestRoute
	// AllowPrivate are internal networks that allowed names may resolve to.
	AllowPrivate []netip.Prefix
	// UpstreamCA is a file of certificates that are trusted besides the
	// system's, for origins with a private authority; "" for none.
	UpstreamCA string
}

// Pipelock is the second proxy. The zero value is a bottle without it; otherwise
// exactly one of Program and Image is set.
type Pipelock struct {
	Program, Image string
	// Config is a configuration of the operator's that its allowlist is merged
	// into; "" for a strict one of our making.
	Config string
	// Intercept has pipelock end TLS, so that it scans what is inside; true
	// unless the manifest says otherwise. Config decides it itself.
	Intercept bool
	// Passthrough are the hosts whose TLS it leaves alone all the same:
	// DefaultPassthrough, or the manifest's instead.
	Passthrough []string
}

// Off tells a bottle without pipelock.
func (p Pipelock) Off() bool { return p.Program == "" && p.Image == "" }

// Protect is what of the workspace the agent may not write, or not even see.
type Protect struct {
	// GitConfig keeps .git/config read-only; true unless the manifest says otherwise.
	GitConfig bool
	// Secrets shows files of credentials empty; true unless the manifest says otherwise.
	Secrets bool
	// Mask are paths and patterns of the workspace that are shown empty besides.
	Mask []string
	// Show are those that are shown as they are, whatever else is said of them.
	Show []string
}

// Docker is how the docker backend makes the bottle.
type Docker struct {
	// Network is none or bridge; "" is none.
	Network string
	// Bind shows the agent the workspace itself and not a copy of it.
	Bind bool
}

// Limits bound the bottle; zero is the backend's default.
type Limits struct {
	Memory int64         // bytes
	Pids   int           // processes and threads
	CPUs   float64       // processors' worth of time
	Idle   time.Duration // without output or a request
	Wall   time.Duration // of the whole run
}

// Parse reads a manifest, which messages call name. The error is
// strictyaml.Faults: everything that is wrong, each with its place.
func Parse(name string, data []byte) (*Manifest, error) {
	root, faults := strictyaml.Document(name, data, strictyaml.Limits{Bytes: MaxBytes})
	w := strictyaml.NewWalker(name)
	w.Add(faults)
	if root == nil {
		return nil, faults
	}
	m := &reader{Walker: w}
	m.read(root)
	if err := w.Faults().Err(); err != nil {
		return nil, err
	}
	return &m.Manifest, nil
}

// A reader fills a manifest and collects faults.
type reader struct {
	*strictyaml.Walker
	Manifest
	refs map[string]string // token_ref -> host of its route
}

// read has one line per key. agent comes after command, from which it is derived
// when absent; env last, since it is checked against the routes.
func (m *reader) read(root *yaml.Node) {
	top, ok := m.Mapping(root, "the manifest", "name", "agent", "command", "workspace", "read_only", "clients", "env", "backend", "image", "dockerfile",
		"egress", "egress_proxy", "pipelock", "protect", "docker", "limits")
	if !ok {
		return
	}
	m.Protect.GitConfig, m.Protect.Secrets, m.Agent = true, true, None
	m.field(top, "name", m.readName)
	m.field(top, "command", m.readCommand)
	m.field(top, "agent", m.readAgent)
	m.field(top, "workspace", m.path(&m.Workspace, "workspace"))
	m.field(top, "read_only", m.readReadOnly)
	m.field(top, "clients", m.readClients)
	m.field(top, "backend", m.readBackend)
	m.field(top, "image", m.text(&m.Image, "image"))
	m.field(top, "dockerfile", m.path(&m.Dockerfile, "dockerfile"))
	m.field(top, "egress", m.readEgress)
	m.field(top, "egress_proxy", m.readEgressProxy)
	m.field(top, "pipelock", m.readPipelock)
	m.field(top, "protect", m.readProtect)
	m.field(top, "docker", m.readDocker)
	m.field(top, "limits", m.readLimits)
	m.field(top, "env", m.readEnv)
	if k, _ := top.Field("dockerfile"); k != nil && top.Get("image") != nil {
		m.Fault(k, "image and dockerfile", "wanted one of them")
	}
}

// field calls read with the value of key when there is one.
func (m *reader) field(from strictyaml.Mapping, key string, read func(n *yaml.Node)) {
	if n := from.Get(key); n != nil {
		read(n)
	}
}

// text returns a reader of a string that is not empty.
func (m *reader) text(to *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := m.String(n, what)
		if ok && s == "" {
			m.Fault(n, what+" is empty", "wanted a value, or no "+what+" at all")
		}
		*to = s
	}
}

// path is text for a path, which it cleans.
func (m *reader) path(to *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		m.text(to, what)(n)
		if *to != "" {
			*to = filepath.Clean(*to)
		}
	}
}

func (m *reader) readName(n *yaml.Node) {
	s, ok := m.String(n, "name")
	if ok && state.ValidSlug(s) != nil {
		m.Fault(n, "name "+strictyaml.Quote(s)+" is not valid", "wanted lower-case letters, digits and dashes, 63 at most, no dash first")
	}
	m.Name = s
}

func (m *reader) readCommand(n *yaml.Node) {
	m.Command, _ = m.Strings(n, "command")
	if len(m.Command) > 0 && m.Command[0] == "" {
		m.Fault(n.Content[0], "the program of command is empty", "wanted its name or path")
	}
	m.Agent = agentOf(m.Command)
}
