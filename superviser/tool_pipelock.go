package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

const pipelockDescription = `Ask that pipelock, the second proxy behind egress-proxy, lets a host through that egress-proxy's routes allow already, and wait for the operator's decision.

When to call: rarely. Only when a request failed with status 502, X-Egress-Proxy-Reason: upstream-proxy-refused and a text that pipelock's allowlist blocks the host. For every 403 of egress-proxy call egress-proxy-block instead: its approval widens pipelock too. When pipelock blocks what a request contains and not its host, no proposal helps: send something else.

Answers are those of egress-proxy-block: "approved" means that pipelock has confirmed, retry at once; "rejected" brings the operator's reason; "pending" brings an id for proposal-status.`

const pipelockSchema = `{"type":"object","additionalProperties":false,"required":["host","justification"],"properties":{` +
	`"host":{"type":"string","minLength":1,"maxLength":255,"description":"The host that pipelock refused: a name such as api.github.com, without scheme, port or path."},` +
	`"justification":{"type":"string","minLength":1,"maxLength":4000,"description":"For the operator: what the task is, and what pipelock answered, word for word."}}}`

// pipelockTool proposes a host for the second proxy, for the rare case that it
// and the routes have come apart.
func (a *agent) pipelockTool() mcp.Tool {
	return mcp.Tool{
		Name: "pipelock-block", Title: "Propose a host for pipelock",
		Description: pipelockDescription, InputSchema: json.RawMessage(pipelockSchema),
		Annotations: mcp.Annotations{Idempotent: true},
		Call:        a.pipelock,
	}
}

func (a *agent) pipelock(ctx context.Context, c mcp.Call) (mcp.Result, error) {
	m, why, err := readJustified(c.Arguments)
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	for key := range m {
		if key != "host" {
			return refused("unknown argument "+key+"; pipelock sees hosts alone", "call again with host and justification"), nil
		}
	}
	plain, err := plainJSON(m)
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	p, err := route.ParseProposal("arguments", plain)
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	if t, err := a.live(ctx); err == nil && covering(t, p.Host) == nil {
		return mcp.Result{IsError: true, Text: "not filed: no route of egress-proxy allows " + p.Host + ", so pipelock is not asked for it\nnext: call egress-proxy-block with this host; its approval widens pipelock too"}, nil
	}
	return a.file(ctx, c, proposal.Request{Component: proposal.Pipelock, Proposal: proposal.OfHost(p.Host), Justification: why, Client: c.Client}, p.Host)
}

// readJustified takes the justification off the arguments.
func readJustified(args json.RawMessage) (m map[string]json.RawMessage, why string, err error) {
	if m, err = strictjson.Object(args); err != nil {
		return nil, "", err
	}
	if json.Unmarshal(m["justification"], &why) != nil || strings.TrimSpace(why) == "" {
		return nil, "", errors.New("justification is missing; wanted a text that tells the operator why")
	}
	delete(m, "justification")
	return m, why, nil
}
