package route

import (
	"slices"

	"bottle/pkg/strictyaml"
)

// proposalMax is how long a proposal may be, in bytes: it comes from the agent.
const proposalMax = 256 << 10

// A Proposal is one route that an agent asks for.
type Proposal struct {
	Host          string        `json:"host"`
	PathAllowlist []string      `json:"path_allowlist,omitempty"`
	Methods       []string      `json:"methods,omitempty"`
	Auth          *ProposalAuth `json:"auth,omitempty"`
}

// ProposalAuth asks for a credential of the operator's.
type ProposalAuth struct {
	Scheme   string `json:"scheme"`
	TokenRef string `json:"token_ref"` // a variable of the operator's environment
}

// ParseProposal reads a proposal from YAML or JSON. name is the file, for
// messages. The host may be in any case; the result has it in canonical form.
// The key justification is checked to be a string and dropped: it is for the
// operator. The error is strictyaml.Faults.
func ParseProposal(name string, data []byte) (Proposal, error) {
	root, faults := strictyaml.Document(name, data, strictyaml.Limits{Bytes: proposalMax})
	if root == nil {
		return Proposal{}, faults
	}
	w := strictyaml.NewWalker(name)
	w.Add(faults)
	m, ok := w.Mapping(root, "the proposal", "host", "path_allowlist", "methods", "auth", "justification")
	if !ok {
		return Proposal{}, w.Faults()
	}
	since := w.Count()
	r := Route{
		Host:          proposedHost(readHost(w, m)),
		PathAllowlist: readStrings(w, m, "path_allowlist"),
		Methods:       readStrings(w, m, "methods"),
	}
	readString(w, m, "justification", true)
	p := Proposal{}
	if a := m.Get("auth"); a != nil {
		scheme, ref := readAuth(w, a, false)
		p.Auth = &ProposalAuth{scheme, ref}
	}
	finish(w, root, &r, since)
	if err := w.Faults().Err(); err != nil {
		return Proposal{}, err
	}
	p.Host, p.PathAllowlist, p.Methods = r.Host, r.PathAllowlist, r.Methods
	return p, nil
}

// proposedHost brings what an agent copied from an error message or a URL into
// canonical form, as far as only case and a trailing dot are in the way.
func proposedHost(s string) string {
	name, wild := wildcardSuffix(s)
	host, err := CanonicalHost(name)
	if err != nil {
		return s
	}
	if wild {
		return "*." + host
	}
	return host
}

// route is the route that p asks for, without its credential.
func (p Proposal) route() Route {
	return Route{Host: p.Host, PathAllowlist: slices.Clone(p.PathAllowlist), Methods: slices.Clone(p.Methods)}
}
