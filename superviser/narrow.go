package main

import (
	"slices"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
)

// listFlag is a flag that may be repeated or hold several values with commas.
type listFlag struct {
	list  *[]string
	split bool // at commas
}

func (f listFlag) String() string { return "" }

func (f listFlag) Set(s string) error {
	values := []string{s}
	if f.split {
		values = strings.Split(s, ",")
	}
	*f.list = append(*f.list, values...)
	return nil
}

// narrow is what o leaves of p, whose host has the route was, nil for none. It
// refuses what was not asked for: the operator sees the whole of what an agent
// wants and can grant less, but more would be something that nobody has looked
// at.
func narrow(p route.Proposal, was *route.Route, o order) (route.Proposal, error) {
	if o.paths != nil {
		if was != nil && p.PathAllowlist == nil {
			return p, cli.Refusedf("-path: the proposal adds no path to the route %s; wanted no -path", p.Host)
		}
		for _, path := range o.paths {
			if !coversPaths(&route.Route{PathAllowlist: p.PathAllowlist}, route.Proposal{PathAllowlist: []string{path}}) {
				return p, cli.Refusedf("-path %.200q was not asked for (%.200q); wanted a path below one that was", path, words("path", p.PathAllowlist))
			}
		}
		p.PathAllowlist = o.paths
	}
	if o.methods != nil {
		if was != nil && p.Methods == nil {
			return p, cli.Refusedf("-methods: the proposal adds no method to the route %s; wanted no -methods", p.Host)
		}
		if !coversAll(p.Methods, o.methods) {
			return p, cli.Refusedf("-methods %.200q was not asked for (%.200q); wanted some of those", strings.Join(o.methods, ","), words("method", p.Methods))
		}
		p.Methods = o.methods
	}
	// The same parser as for what an agent writes.
	left, err := route.ParseProposal("what is left", proposal.OfRoute(p))
	if err != nil {
		return p, cli.Refused(err)
	}
	return left, nil
}

// less says what of p is left out in left, as terms for the agent.
func less(p, left route.Proposal) []string {
	var list []string
	if !slices.Equal(p.PathAllowlist, left.PathAllowlist) {
		list = append(list, "less than you asked for: only "+words("path", left.PathAllowlist))
	}
	if !slices.Equal(p.Methods, left.Methods) {
		list = append(list, "less than you asked for: only "+words("method", left.Methods))
	}
	return list
}
