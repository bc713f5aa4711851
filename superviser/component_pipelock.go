package main

import (
	"context"
	"encoding/json"
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
	plan, err := linkWith(ctx, env, strings.NewReader(host+"\n"), "pipemirror", append([]string{"apply", "-n", "-json"}, at.flags()...)...)
	if err != nil {
		return view{}, err
	}
	var change struct {
		Added []string
		Was   string
	}
	if err := json.Unmarshal(plan, &change); err != nil {
		return view{}, fmt.Errorf("pipemirror apply -n -json: %w", err)
	}
	d, err := digestWith(r, live.table.Digest()+"\n"+string(plan))
	if err != nil {
		return view{}, err
	}
	v := view{Record: r, Digest: d, basis: string(live.text) + string(plan), was: change.Was}
	for _, entry := range change.Added {
		v.Changes = append(v.Changes, route.Change{Kind: "pipelock", Host: host, Text: "+ " + entry, Widens: true})
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
		no := risk.Risk{Level: risk.High, Text: "no route: egress-proxy refuses " + host + ", and pipelock would let it through once a route does not"}
		return append([]risk.Risk{no}, risk.Name(host, t)...)
	}
	level := risk.Medium
	if strings.HasPrefix(host, "*.") {
		level = risk.High
	}
	return []risk.Risk{{Level: level, Text: fmt.Sprintf("second check: pipelock lets %s through as well; the route %s goes on to decide (%s)", host, r.Host, routeTerms(r))}}
}

// pipelockInstall widens pipelock, which confirms it, if its configuration is still
// the one that was looked at.
func pipelockInstall(ctx context.Context, env *cli.Env, at *place, v view, o order) (outcome, error) {
	if o.narrows() {
		return outcome{}, cli.Refusedf("-for, -uses, -path, -methods: pipelock knows hosts alone\nhint: approve without them, or limit the route: 'routesctl edit -bottle %s'", at.bottle)
	}
	host, err := v.Host()
	if err != nil {
		return outcome{}, cli.Refused(err)
	}
	args := append([]string{"apply"}, at.flags()...)
	if v.was != "" { // a bottle without pipelock has none
		args = append(args, "-was", v.was)
	}
	_, err = linkWith(ctx, env, strings.NewReader(host+"\n"), "pipemirror", args...)
	return outcome{terms: []string{"the route of egress-proxy still decides"}, after: host + "\n"}, err
}
