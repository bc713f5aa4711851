package main

import (
	"context"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
)

// reject decides against a proposal. The reason is required, since the agent
// reads it and acts on it.
func reject(ctx context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	at.addFlags(fs)
	at.addAudit(fs)
	reason := fs.String("reason", "", "")
	id, err := at.locate(ctx, env, fs)
	if err != nil {
		return err
	}
	if strings.TrimSpace(*reason) == "" {
		return cli.Misused("wanted -reason TEXT, which the agent will read")
	}
	return decideIn(ctx, env, &at, id, proposal.Decision{Verdict: proposal.Rejected, Reason: *reason})
}
