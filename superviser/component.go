package main

import (
	"context"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
)

// A component is what proposals can be about: how one is told, shown and
// installed.
type component struct {
	// subject is what the proposal is about, in a few words.
	subject func(proposal.Record) string
	// done tells the agent what an approval of the subject means to it now.
	done string
	// look compares a pending proposal with what the bottle has. The view has a
	// digest, which an approval is bound to.
	look func(context.Context, *cli.Env, *place, proposal.Record) (view, error)
	// install makes it so; the view is what was just looked at, and was shown.
	// With an error nothing is, or what is left was told on stderr.
	install func(context.Context, *cli.Env, *place, view, order) (outcome, error)
}

// components are all there are. A new one is its tool, a file with these
// functions, and a line here and in agent.tools.
func components() map[string]component {
	return map[string]component{
		proposal.EgressProxy: {routeSubject, "%s is live; retry the request now", routeLook, routeInstall},
		proposal.Pipelock:    {pipelockSubject, "pipelock lets %s through; retry the request now", pipelockLook, pipelockInstall},
		proposal.Capability:  {capabilitySubject, "%s is built; it is there when the bottle is started again, not in this session", capabilityLook, capabilityInstall},
	}
}

// order is how the operator approves.
type order struct {
	digest string        // what was shown; "" is what show has noted
	hold   time.Duration // how long it shall hold; 0 is without end
	uses   int           // for how many requests; 0 is without limit
	// What is left of the proposal: nil is all that was asked for.
	paths, methods []string
}

// narrows reports whether the operator wants less than a whole, endless grant.
func (o order) narrows() bool {
	return o.hold > 0 || o.uses > 0 || o.paths != nil || o.methods != nil
}

// outcome is what an approval has done.
type outcome struct {
	terms         []string // for the agent
	expires       *time.Time
	narrowed      bool   // less than what was asked for
	before, after string // the whole table
}

// componentOf is the component of r, or why there is none.
func componentOf(r proposal.Record) (component, error) {
	c, ok := components()[r.Component]
	if !ok {
		return c, cli.Refusedf("%s: unknown component %q", r.ID, r.Component)
	}
	return c, nil
}

// subject is what r is about, whatever its component.
func subject(r proposal.Record) string {
	c, err := componentOf(r)
	if err != nil {
		return "a proposal for " + r.Component
	}
	return c.subject(r)
}

// routeSubject is the host.
func routeSubject(r proposal.Record) string {
	p, err := r.Route()
	if err != nil {
		return "an unreadable route"
	}
	return p.Host
}

// routeLook merges the route into the bottle's live table.
func routeLook(ctx context.Context, env *cli.Env, at *place, r proposal.Record) (view, error) {
	p, err := r.Route()
	if err != nil {
		return view{}, cli.Refused(err)
	}
	live, err := at.live(ctx, env)
	if err != nil {
		return view{}, err
	}
	v, err := viewOf(r, p, live.table, live.uses, live.refused...)
	v.basis = string(live.text)
	return v, err
}
