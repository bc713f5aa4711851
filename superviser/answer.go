package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
)

// progressEvery is how often a waiting call shows that it lives: Claude Code
// gives up on a silent one after 30 minutes and resets that clock by progress.
const progressEvery = 10 * time.Second

// waitOf is how long a call of this client may wait for the operator: a little
// less than the client does, so that the answer is "pending" and not a timeout.
// A negative one is without limit.
func (a *agent) waitOf(c mcp.Call) time.Duration {
	switch {
	case a.wait >= 0:
		return a.wait
	case c.Client == "claude-code" && c.Watched:
		return -1
	case c.Client == "claude-code":
		return 25 * time.Minute // its idle limit is 30
	case strings.HasPrefix(c.Client, "codex"):
		return 240 * time.Second // of 300
	}
	return 45 * time.Second // of 60, the TypeScript SDK's
}

// await waits until r is decided, for at most limit (< 0: without limit), or
// until the client's input ends, and returns r as it is then. An error is that
// the client has cancelled, or trouble with the queue; the proposal stays.
func (a *agent) await(ctx context.Context, c mcp.Call, r proposal.Record, limit time.Duration) (proposal.Record, error) {
	if r.Decision != nil || limit == 0 {
		return r, nil
	}
	wait, stop := context.WithCancel(ctx)
	defer stop()
	if limit > 0 {
		var free context.CancelFunc
		wait, free = context.WithTimeout(wait, limit)
		defer free()
	}
	done := make(chan error, 1)
	go func() {
		var err error
		r, err = a.queue.Wait(wait, r.ID)
		done <- err
	}()
	id, since, closing := r.ID, time.Now(), c.Closing
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	c.Progress("waiting for the operator (proposal " + id + ")")
	for {
		select {
		case err := <-done:
			if err != nil && wait.Err() != nil && ctx.Err() == nil {
				err = nil // our own limit: still pending
			}
			return r, err
		case <-tick.C:
			c.Progress(fmt.Sprintf("waiting for the operator (proposal %s, %s)", id, time.Since(since).Round(time.Second)))
		case <-closing:
			stop()
			closing = nil
		}
	}
}

// told is the answer about r: outcome, reason, next step.
func told(r proposal.Record, again string) mcp.Result {
	what := subject(r)
	switch r.State() {
	case string(proposal.Approved):
		return mcp.Result{Text: fmt.Sprintf("%sapproved: %s\nproposal: %s%s%s",
			again, fmt.Sprintf(components()[r.Component].done, what), r.ID, termsLine(r), reasonLine(r))}
	case string(proposal.Rejected):
		return mcp.Result{Text: fmt.Sprintf("%srejected: %s\nproposal: %s%s\nnext: do without it; file it again only with a new justification that answers the operator's reason",
			again, what, r.ID, reasonLine(r))}
	}
	return mcp.Result{Text: fmt.Sprintf("pending: %s is not decided yet; the operator has the proposal\nproposal: %s\nnext: go on with other work, then call proposal-status with this id, or repeat this call; either finds the decision",
		what, r.ID)}
}

func termsLine(r proposal.Record) string {
	if len(r.Decision.Terms) == 0 {
		return ""
	}
	return "\nterms: " + strings.Join(r.Decision.Terms, "; ")
}

func reasonLine(r proposal.Record) string {
	if r.Decision.Reason == "" {
		return ""
	}
	return "\nreason: " + r.Decision.Reason
}

// refused is an answer about input that the model can correct.
func refused(what, next string) mcp.Result {
	return mcp.Result{Text: "refused: " + what + "\nnext: " + next, IsError: true}
}
