package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/strictjson"
)

// decide writes a decision and nothing else: the last link of a chain that has
// installed what is approved.
func decide(ctx context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	at.addFlags(fs)
	at.addAudit(fs)
	yes := fs.Bool("approve", false, "")
	no := fs.Bool("reject", false, "")
	reason := fs.String("reason", "", "")
	id, err := at.locate(ctx, env, fs)
	if err != nil {
		return err
	}
	if *yes == *no {
		return cli.Misused("wanted either -approve or -reject")
	}
	verdict := proposal.Approved
	if *no {
		verdict = proposal.Rejected
	}
	return decideIn(ctx, env, &at, id, proposal.Decision{Verdict: verdict, Reason: *reason})
}

// decideIn settles the proposal id in the queue of a place.
func decideIn(ctx context.Context, env *cli.Env, at *place, id string, d proposal.Decision) error {
	q, err := at.open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	return settle(ctx, env, at, q, id, d, outcome{})
}

// settle writes the decision, then the line of the audit log.
func settle(ctx context.Context, env *cli.Env, at *place, q queue, id string, d proposal.Decision, o outcome) error {
	d.Operator, d.Time = operator(env), time.Now()
	r, err := q.Decide(ctx, id, d)
	switch {
	case errors.Is(err, proposal.ErrDecided):
		return decidedBefore(r)
	case errors.Is(err, proposal.ErrNotFound):
		return cli.Refused(err)
	case err != nil:
		return err
	}
	d = *r.Decision
	r.Decision = nil
	filed, err := strictjson.Encode(r)
	if err == nil {
		err = audit.Append(at.audit, audit.Entry{
			Time: d.Time, Operator: d.Operator, Bottle: at.bottle, Component: r.Component,
			Proposal: id, Record: filed, Decision: string(d.Verdict), Reason: d.Reason,
			Before: o.before, After: o.after,
		})
	}
	if err != nil {
		return fmt.Errorf("%s is %s, but the audit log has no line of it: %w", id, d.Verdict, err)
	}
	return nil
}

func decidedBefore(r proposal.Record) error {
	return cli.Refusedf("%s was %s by %q at %s; a decision is not taken back here",
		r.ID, r.State(), r.Decision.Operator, r.Decision.Time.UTC().Format(time.RFC3339))
}
