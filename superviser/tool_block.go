package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"bottle/pkg/escape"
	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

const blockDescription = `Propose ONE route through egress-proxy, the bottle's only way out, and wait for the operator's decision.

When to call: a request was refused with status 403 and a body that begins "egress-proxy:" (or a header X-Egress-Proxy-Reason). A 403 without that text comes from the site itself; do not propose it. Look at list-egress-proxy-routes first if you are not sure what is allowed.

Ask for as little as you need: name path_allowlist and methods when you know them. Say in justification what you are doing and why this host is needed; the operator decides by that.

The route is merged into the table: paths are added to those the host has. Answers: "approved" means the route is live, retry the request at once. "already allowed": retry, nothing was filed. "rejected" brings the operator's reason: respect it. "pending" brings an id: go on with other work and call proposal-status with it later; do not file variants of the same proposal.`

const blockSchema = `{"type":"object","additionalProperties":false,"required":["host","justification"],"properties":{` +
	`"host":{"type":"string","minLength":1,"maxLength":255,"description":"The host that was refused: a name such as api.github.com, without scheme, port or path. *.example.com means example.com and everything below it; ask for that only if you need many of its hosts."},` +
	`"path_allowlist":{"type":"array","minItems":1,"items":{"type":"string"},"description":"Absolute path prefixes, matched at segment boundaries: /repos/me allows /repos/me and /repos/me/x, not /repos/meow. Left out: every path of a new host. If the host has a route with paths already, name the paths to add, or \"/\" for every path."},` +
	`"methods":{"type":"array","minItems":1,"items":{"type":"string"},"description":"HTTP methods in upper case, such as GET. Left out: every method of a new host."},` +
	`"auth":{"type":"object","additionalProperties":false,"required":["scheme","token_ref"],"description":"Only if the host needs a credential that the operator has. egress-proxy adds it; you never see it. Ignored for a host that has a route.","properties":{` +
	`"scheme":{"type":"string","description":"What stands before the token in Authorization, such as Bearer."},` +
	`"token_ref":{"type":"string","description":"The name of the variable in the operator's environment that holds the token, such as GITHUB_TOKEN. Never a token itself."}}},` +
	`"justification":{"type":"string","minLength":1,"maxLength":4000,"description":"For the operator: what the task is, what was refused, why this host."}}}`

// blockTool proposes a route. It is not read-only, so that a client asks or
// allows it knowingly, and idempotent, since equal proposals are one.
func (a *agent) blockTool() mcp.Tool {
	return mcp.Tool{
		Name: "egress-proxy-block", Title: "Propose a route through egress-proxy",
		Description: blockDescription, InputSchema: json.RawMessage(blockSchema),
		Annotations: mcp.Annotations{Idempotent: true},
		Call:        a.block,
	}
}

func (a *agent) block(ctx context.Context, c mcp.Call) (mcp.Result, error) {
	p, why, err := readBlock(c.Arguments)
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	asked := time.Now()
	st, known := a.standing(ctx, p)
	if st.settled {
		return mcp.Result{Text: st.text, IsError: st.isError}, nil
	}
	req := proposal.Request{Component: proposal.EgressProxy, Proposal: proposal.OfRoute(p), Justification: why, Client: c.Client}
	if known {
		req.Lapsed = asked // else it would stand in the table
	}
	return a.file(ctx, c, req, p.Host)
}

// file submits a proposal, waits for the operator and tells what became of it;
// what is its subject in the log.
func (a *agent) file(ctx context.Context, c mcp.Call, req proposal.Request, what string) (mcp.Result, error) {
	r, found, err := a.queue.Submit(ctx, req)
	var full *proposal.Refusal
	if errors.As(err, &full) {
		return refused(full.Msg, full.Next), nil
	}
	if err != nil {
		return mcp.Result{}, err
	}
	if found && r.Decision != nil {
		return told(r, "already "), nil
	}
	if !found {
		a.log.Info("proposal", "bottle", a.bottle, "id", r.ID, "component", r.Component, "subject", what, "client", escape.Text(c.Client, 60))
	}
	if c.Tasks {
		return mcp.Result{Task: taskOf(r)}, nil
	}
	r, err = a.await(ctx, c, r, a.waitOf(c))
	if err != nil {
		return mcp.Result{}, err
	}
	return told(r, ""), nil
}

// standing compares p with the live table. That the table cannot be read does
// not keep a proposal from the operator, who will see.
func (a *agent) standing(ctx context.Context, p route.Proposal) (st standing, known bool) {
	t, err := a.live(ctx)
	if err != nil {
		if !errors.Is(err, errUnknown) && ctx.Err() == nil {
			a.log.Warn("allowlist", "bottle", a.bottle, "error", escape.Text(err.Error(), 0))
		}
		return standing{}, false
	}
	return stand(t, p, time.Now()), true
}

// readBlock reads the arguments: the proposal by the parser that also approves
// it, and the justification.
func readBlock(args json.RawMessage) (route.Proposal, string, error) {
	m, why, err := readJustified(args)
	if err != nil {
		return route.Proposal{}, "", err
	}
	plain, err := plainJSON(m)
	if err != nil {
		return route.Proposal{}, "", err
	}
	p, err := route.ParseProposal("arguments", plain)
	return p, why, err
}

// plainJSON writes m without escapes where there need be none: YAML, as which
// the parser reads it, has no surrogate pairs.
func plainJSON(m map[string]json.RawMessage) ([]byte, error) {
	values := make(map[string]any, len(m))
	for k, raw := range m {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		values[k] = v
	}
	return strictjson.Encode(values)
}
