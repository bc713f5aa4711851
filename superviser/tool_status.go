package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
	"bottle/pkg/strictjson"
)

// maxStatusWait bounds wait_seconds; the client's own limit may be lower.
const maxStatusWait = 3600

// statusTool tells what became of a proposal.
func (a *agent) statusTool() mcp.Tool {
	return mcp.Tool{
		Name: "proposal-status", Title: "State of a proposal",
		Description: `Tell what became of a proposal that was answered "pending": approved (it is live, retry the request), rejected (with the operator's reason) or still pending. With wait_seconds it waits so long for the decision, as far as your client allows.`,
		InputSchema: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["id"],"properties":{` +
			`"id":{"type":"string","description":"The id from the answer, such as 0a1b2c3d4e5f-1."},` +
			`"wait_seconds":{"type":"integer","minimum":0,"maximum":3600,"description":"How long to wait for a decision; left out: not at all."}}}`),
		Annotations: mcp.Annotations{ReadOnly: true, Idempotent: true},
		Call:        a.status,
	}
}

func (a *agent) status(ctx context.Context, c mcp.Call) (mcp.Result, error) {
	id, wait, err := readStatus(c.Arguments)
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	r, err := a.queue.Get(id)
	if errors.Is(err, proposal.ErrNotFound) {
		return refused(err.Error(), "take the id from the answer to your proposal, or propose again"), nil
	}
	if err != nil {
		return mcp.Result{}, err
	}
	if limit := a.waitOf(c); limit >= 0 {
		wait = min(wait, limit)
	}
	if r, err = a.await(ctx, c, r, wait); err != nil {
		return mcp.Result{}, err
	}
	return told(r, ""), nil
}

func readStatus(args json.RawMessage) (id string, wait time.Duration, err error) {
	var in struct {
		ID   string `json:"id"`
		Wait int    `json:"wait_seconds"`
	}
	if err := strictjson.Unmarshal(args, &in); err != nil {
		return "", 0, err
	}
	if in.Wait < 0 || in.Wait > maxStatusWait {
		return "", 0, fmt.Errorf("wait_seconds is %d; wanted 0 to %d", in.Wait, maxStatusWait)
	}
	if in.ID == "" {
		return "", 0, errors.New("id is missing")
	}
	return in.ID, time.Duration(in.Wait) * time.Second, nil
}
