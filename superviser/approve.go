package main

import (
	"context"
	"fmt"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
)

// approve installs a proposal and only then writes the decision, since an agent
// that reads "approved" retries at once.
func approve(ctx context.Context, env *cli.Env) error {
	var at place
	var o order
	fs := env.Flags()
	at.addFlags(fs)
	at.addAudit(fs)
	fs.StringVar(&o.digest, "digest", "", "")
	fs.DurationVar(&o.hold, "for", 0, "")
	fs.IntVar(&o.uses, "uses", 0, "")
	fs.Var(listFlag{list: &o.paths}, "path", "")
	fs.Var(listFlag{list: &o.methods, split: true}, "methods", "")
	reason := fs.String("reason", "", "")
	id, err := at.locate(ctx, env, fs)
	if err != nil {
		return err
	}
	if at.queue != "" && at.bottle == "" || o.hold < 0 || o.uses < 0 {
		return cli.Misused("wanted a bottle, not -queue, and -for and -uses more than 0; 'decide -approve -queue DIR' only writes the decision")
	}
	q, err := at.open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	r, err := pending(q, id)
	if err != nil {
		return err
	}
	done, err := carryOut(ctx, env, &at, r, o)
	if err != nil {
		return fmt.Errorf("%s stays pending: %w", id, err)
	}
	d := proposal.Decision{Verdict: proposal.Approved, Reason: *reason, Terms: done.terms, Expires: done.expires, Narrowed: done.narrowed}
	// Installed is installed: an interrupt now must not keep the agent waiting.
	if err := settle(context.WithoutCancel(ctx), env, &at, q, id, d, done); err != nil {
		return fmt.Errorf("the proposal is installed, but: %w\nhint: if it is still pending, 'superviser decide -approve %s %s' tells the agent", err, strings.Join(at.flags(), " "), id)
	}
	return nil
}

// carryOut installs r if it, and what it changes, are as they were shown.
func carryOut(ctx context.Context, env *cli.Env, at *place, r proposal.Record, o order) (outcome, error) {
	c, err := componentOf(r)
	if err != nil {
		return outcome{}, err
	}
	v, err := c.look(ctx, env, at, r)
	if err != nil {
		return outcome{}, err
	}
	if err := bound(at, v, o.digest); err != nil {
		return outcome{}, err
	}
	return c.install(ctx, env, at, v, o)
}

// pending reads a proposal that is to be decided.
func pending(q queue, id string) (proposal.Record, error) {
	r, err := get(q, id)
	if err == nil && r.Decision != nil {
		return r, decidedBefore(r)
	}
	return r, err
}
