package mcp

import (
	"context"
	"encoding/json"

	"bottle/pkg/strictjson"
)

// call is a tools/call that runs. Its fields over and steps are guarded by the
// conversation's mu, so that after a cancel, or after the answer, not one line
// about it is written.
type call struct {
	c      *conversation
	id     *requestID
	era    era
	token  *requestID // of progress, nil if the client wants none
	cancel context.CancelFunc
	size   int

	over  bool
	steps int // progress notifications sent: the value that must grow
}

// call starts a tools/call, or refuses a malformed one.
func (c *conversation) call(m message, e era) *rpcError {
	name, ok := text(m.params, "name")
	if !ok {
		return errorf(codeInvalidParams, "tools/call has no string name")
	}
	tool := c.server.tool(name)
	if tool == nil {
		return errorf(codeInvalidParams, "unknown tool")
	}
	args := json.RawMessage("{}")
	if raw, ok := m.params["arguments"]; ok {
		if _, err := strictjson.Object(raw); err != nil {
			return errorf(codeInvalidParams, "arguments is %v", err)
		}
		args = raw
	}
	k := &call{c: c, id: m.id, era: e, size: m.size}
	if meta, ok := member(m.params, "_meta"); ok {
		if raw, ok := meta["progressToken"]; ok {
			var err error
			if k.token, err = parseID(raw); err != nil {
				return errorf(codeInvalidParams, "bad progressToken: %v", err)
			}
		}
	}
	c.start(k, tool, args)
	return nil
}

// start runs k beside the reader, unless too much runs already. That is told as
// a result, since the model can act on it.
func (c *conversation) start(k *call, tool *Tool, args json.RawMessage) {
	ctx, cancel := context.WithCancel(c.ctx)
	k.cancel = cancel
	if !c.admit(k) {
		cancel()
		c.sendResult(k.id, k.era, content(Result{
			Text:    "refused: too many calls are running\nreason: this server runs a bounded number of calls at once\nnext: wait for one of your calls to end, or cancel one, then repeat this call",
			IsError: true,
		}))
		return
	}
	client := c.client
	if k.era.modern {
		client = k.era.client
	}
	in := Call{Arguments: args, Client: client, Watched: k.token != nil, Tasks: k.era.tasks && c.server.Task != nil, Progress: k.progress, Closing: c.closing}
	c.calls.Go(func() {
		defer cancel()
		r, err := tool.Call(ctx, in)
		k.finish(ctx, tool.Name, r, err)
	})
}

// admit counts k among the running calls, or reports that there is no room.
func (c *conversation) admit(k *call) bool {
	limit := c.server.MaxCalls
	if limit <= 0 {
		limit = defaultCalls
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count >= limit || c.bytes+k.size > maxCallBytes {
		return false
	}
	c.count++
	c.bytes += k.size
	c.running[k.id.key] = k
	return true
}

// finish sends the answer of k, unless it was cancelled.
func (k *call) finish(ctx context.Context, tool string, r Result, err error) {
	line := k.line(ctx, tool, r, err)
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	c.bytes -= k.size
	if k.over {
		return
	}
	k.over = true
	delete(c.running, k.id.key) // the client may use the id again once it has the answer
	c.write(line)
}

func (k *call) line(ctx context.Context, tool string, r Result, err error) []byte {
	if err == nil && r.Task != nil {
		return answer(k.id, k.c.server.taskCreated(k.era, r.Task), nil)
	}
	if err == nil {
		return answer(k.id, k.c.server.finish(k.era, content(r)), nil)
	}
	if ctx.Err() == nil {
		k.c.log.Error("tool", "tool", tool, "error", err)
	}
	return answer(k.id, nil, errorf(codeInternal, "internal error; the operator's log has the cause"))
}

// content is a Result as both eras write it (CallToolResult).
func content(r Result) map[string]any {
	result := map[string]any{"content": []map[string]string{{"type": "text", "text": r.Text}}}
	if r.IsError {
		result["isError"] = true
	}
	return result
}

// progress tells the client that the call is alive. What it is worth to the
// client is that it came: clients reset their idle clocks by it.
func (k *call) progress(message string) {
	if k.token == nil {
		return
	}
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.over {
		return
	}
	k.steps++
	c.write(encode(map[string]any{
		"jsonrpc": "2.0",
		"method":  "notifications/progress",
		"params":  map[string]any{"progressToken": k.token.raw, "progress": k.steps, "message": message},
	}))
}
