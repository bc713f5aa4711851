package main

import (
	"context"
	"fmt"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/risk"
	"bottle/pkg/route"
)

// pipelockSubject is the host.
func pipelockSubject(r proposal.Record) string {
	host, err := r.Host()
	if err != nil {
		return "an unreadable host"
	}
	return host
}

// pipelockLook says what pipemirror would change.
func pipelockLook(ctx context.Context, env *cli.Env, at *place, r proposal.Record) (view, error) {
	host, err := r.Host()
	if err != nil {
		return view{}, cli.Refused(err)
	}
	live, err := at.live(ctx, env)
	if err != nil {
		return view{}, err
	}
	plan, err := linkWith(ctx, env, strings.NewReader(host+"\n"), "pipemirror", append([]string{"apply", "-n"}, at.flags()...)...)
	if err != nil {
		return view{}, err
	}
	d, err := digestWith(r, live.table.Digest()+"\n"+string(plan))
	if err != nil {
		return view{}, err
	}
	v := view{Record: r, Digest: d, basis: string(live.text) + string(plan)}
	for line := range strings.Lines(string(plan)) {
		v.Changes = append(v.Changes, route.Change{Kind: "pipelock", Host: host, Text: strings.TrimSpace(line), Widens: strings.HasPrefix(line, "+")})
	}
	v.weigh(pipelockRisks(host, live.table, len(v.Changes) == 0))
	return v, nil
}

func pipelockRisks(host string, t *route.Table, same bool) []risk.Risk {
	if same {
		return []risk.Risk{{Level: risk.Low, Text: "no change: pipelock has the host already, or the bottle has no pipelock"}}
	}
	r := covering(t, host)
	if r == nil {
		return []risk.Risk{{Level: risk.High, Text: "no route: egress-proxy refuses " + host + ", and pipelock would let it through once a route does not"}}
	}
	level := risk.Medium
	if strings.HasPrefix(host, "*.") {
		level = risk.High
	}
	return []risk.Risk{{Level: level, Text: fmt.Sprintf("second check: pipelock lets %s through as well; the route %s goes on to decide (%s)", host, r.Host, routeTerms(r))}}
}

// pipelockInstall widens pipelock, which confirms it.
func pipelockInstall(ctx context.Context, env *cli.Env, at *place, v view, o order) (outcome, error) {
	if o.narrows() {
		return outcome{}, cli.Refusedf("-for, -uses, -path, -methods: pipelock knows hosts alone\nhint: approve without them, or limit the route: 'routesctl edit -bottle %s'", at.bottle)
	}
	host, err := v.Host()
	if err != nil {
		return outcome{}, cli.Refused(err)
	}
	_, err = linkWith(ctx, env, strings.NewReader(host+"\n"), "pipemirror", append([]string{"apply"}, at.flags()...)...)
	return outcome{terms: []string{"the route of egress-proxy still decides"}, after: host + "\n"}, err
}
