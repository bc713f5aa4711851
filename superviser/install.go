package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/risk"
	"bottle/pkg/route"
)

// approval is one run of routeInstall.
type approval struct {
	env   *cli.Env
	at    *place
	p     route.Proposal // what is left of it
	order order
	live  *served
	now   time.Time // when it was looked at: what has ended by then is renewed, and that was shown
	work  string    // folder for the tables between the links
}

// routeInstall runs the chain show, merge, validate, apply. The first link has
// run when the proposal was looked at.
func routeInstall(ctx context.Context, env *cli.Env, at *place, v view, o order) (outcome, error) {
	asked, err := v.Route()
	if err != nil {
		return outcome{}, cli.Refused(err)
	}
	live, err := at.live(ctx, env)
	if err != nil {
		return outcome{}, err
	}
	p, err := narrow(asked, find(live.table, asked.Host), o)
	if err != nil {
		return outcome{}, err
	}
	work, err := os.MkdirTemp("", "superviser")
	if err != nil {
		return outcome{}, err
	}
	defer os.RemoveAll(work)
	a := &approval{env, at, p, o, live, v.at, work}
	next, err := a.merge(ctx)
	if err != nil {
		return outcome{}, err
	}
	if err := a.apply(ctx, next); err != nil {
		return outcome{}, err
	}
	granted, fewer := find(next, p.Host), less(asked, p)
	done := outcome{
		terms: append(risk.Terms(granted), fewer...), narrowed: fewer != nil,
		before: string(live.text), after: string(next.Encode()),
	}
	if !granted.Expires.IsZero() {
		done.expires = &granted.Expires
	}
	return done, nil
}

// apply checks the merged table as a link would and installs it.
func (a *approval) apply(ctx context.Context, next *route.Table) error {
	token, err := a.token(next)
	if err != nil {
		return err
	}
	if _, err := link(ctx, a.env, "routesctl", "validate", a.file("next.yaml")); err != nil {
		return err
	}
	args := append([]string{"apply"}, a.at.flags()...)
	args = append(append(args, "-was", a.file("now.yaml")), token...)
	_, err = link(ctx, a.env, "routesctl", append(args, a.file("next.yaml"))...)
	return err
}

// merge writes now.yaml and next.yaml, the latter with the terms of the approval.
func (a *approval) merge(ctx context.Context) (*route.Table, error) {
	if err := os.WriteFile(a.file("now.yaml"), a.live.text, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(a.file("proposal.json"), proposal.OfRoute(a.p), 0o600); err != nil {
		return nil, err
	}
	text, err := link(ctx, a.env, "routesctl", "merge", a.file("now.yaml"), a.file("proposal.json"))
	if err != nil {
		return nil, err
	}
	next, err := route.Parse("the merged table", text)
	if err != nil {
		return nil, err
	}
	if next, err = grant(next, a.live.table, a.p.Host, a.now, a.order, a.live.uses); err != nil {
		return nil, err
	}
	if find(next, a.p.Host) == nil {
		return nil, fmt.Errorf("the merged table has no route %s", a.p.Host)
	}
	return next, os.WriteFile(a.file("next.yaml"), next.Encode(), 0o600)
}

func (a *approval) file(name string) string { return filepath.Join(a.work, name) }

// token is what tells apply where the value of a new credential is: the name of
// the operator's variable, never the value.
func (a *approval) token(next *route.Table) ([]string, error) {
	if a.p.Auth == nil || find(a.live.table, a.p.Host) != nil {
		return nil, nil
	}
	slot, ref := find(next, a.p.Host).TokenEnv, a.p.Auth.TokenRef
	if a.env.Getenv(ref) == "" {
		return nil, cli.Refusedf("the proposal wants the credential in your variable %s, which is not set\nhint: export %s with the token for %s, then approve again", ref, ref, a.p.Host)
	}
	return []string{"-token", slot + "=" + ref}, nil
}
