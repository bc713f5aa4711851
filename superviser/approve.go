package main

import (
	"context"
	"fmt"

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
	fs.StringVar(&o.digest, "digest", "", "")
	fs.DurationVar(&o.hold, "for", 0, "")
	fs.IntVar(&o.uses, "uses", 0, "")
	reason := fs.String("reason", "", "")
	id, err := parseID(env, fs)
	if err != nil {
		return err
	}
	if at.bottle == "" || o.hold < 0 || o.uses < 0 {
		return cli.Misused("wanted -bottle NAME, and -for and -uses more than 0; 'decide -approve -queue DIR' only writes the decision")
	}
	if err := at.find(env); err != nil {
		return err
	}
	q, err := at.open()
	if err != nil {
		return err
	}
	defer q.Close()
	r, err := pending(q, id)
	if err != nil {
		return err
	}
	c, err := componentOf(r)
	if err != nil {
		return err
	}
	done, err := c.install(ctx, env, at, r, o)
	if err != nil {
		return fmt.Errorf("%s stays pending: %w", id, err)
	}
	d := proposal.Decision{Verdict: proposal.Approved, Reason: *reason, Terms: done.terms, Expires: done.expires}
	// Installed is installed: an interrupt now must not keep the agent waiting.
	if err := settle(context.WithoutCancel(ctx), env, at, q, id, d, done); err != nil {
		return fmt.Errorf("the proposal is installed, but: %w\nhint: if it is still pending, 'superviser decide -approve -bottle %s %s' tells the agent", err, at.bottle, id)
	}
	return nil
}

// pending reads a proposal that is to be decided.
func pending(q *proposal.Queue, id string) (proposal.Record, error) {
	r, err := get(q, id)
	if err == nil && r.Decision != nil {
		return r, decidedBefore(r)
	}
	return r, err
}

// bound refuses when a proposal and what it changes, which together have the
// digest is, are not what was shown.
func bound(at place, r proposal.Record, is, want string) error {
	if want == "" {
		var err error
		if want, err = shownDigest(at.dir, r.ID); err != nil {
			return err
		}
	}
	if want != is {
		return cli.Refusedf("the proposal or the bottle's table is not what was shown (digest %.60q; now %q)\nhint: run 'superviser show -bottle %s %s' and look again",
			want, is, at.bottle, r.ID)
	}
	return nil
}
