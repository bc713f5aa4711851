package proposal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

// EgressProxy is the component of proposals for one route.
const EgressProxy = "egress-proxy"

// OfRoute is p as a Record holds it, in its one spelling: paths and methods
// sorted and without doubles, so that equal proposals are equal bytes.
func OfRoute(p route.Proposal) json.RawMessage {
	p.PathAllowlist = sorted(p.PathAllowlist)
	p.Methods = sorted(p.Methods)
	line, err := strictjson.Encode(p)
	if err != nil {
		panic(err) // strings alone
	}
	return bytes.TrimSuffix(line, []byte{'\n'})
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Route is the route that r proposes, checked as pkg/route checks any proposal.
func (r Record) Route() (route.Proposal, error) {
	if r.Component != EgressProxy {
		return route.Proposal{}, fmt.Errorf("%s: a proposal for %s is no route", r.ID, r.Component)
	}
	return route.ParseProposal(r.ID, r.Proposal)
}
