package mcp

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"bottle/pkg/strictjson"
)

// conversation is the state of one Serve. The reader's goroutine takes the
// messages one by one; only tools/call runs beside it.
type conversation struct {
	server *Server
	log    *slog.Logger
	ctx    context.Context
	fail   context.CancelCauseFunc

	// of the reader's goroutine alone
	initialized bool
	client      string // of the legacy handshake

	closing chan struct{} // closed at the end of input
	ended   atomic.Bool   // Serve has returned: nothing is written any more
	calls   sync.WaitGroup

	mu      sync.Mutex // one writer; also guards what follows
	w       io.Writer
	werr    error
	running map[string]*call // by requestID.key
	count   int              // goroutines, also of cancelled calls
	bytes   int              // of their lines
}

// take handles one line.
func (c *conversation) take(line []byte) {
	m, bad := parseMessage(line)
	switch {
	case bad != nil && m.id == nil && m.method != "":
		// A notification with bad params; notifications are never answered.
	case bad != nil:
		c.sendError(m.id, bad)
	case m.method == "": // a response to nothing
	case m.id == nil:
		c.notification(m)
	default:
		c.request(m)
	}
}

// notification acts on the one that matters here; unknown ones, and requests
// without an id, are never carried out nor answered.
func (c *conversation) notification(m message) {
	if m.method != "notifications/cancelled" {
		return
	}
	id, err := parseID(m.params["requestId"])
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.running[id.key]; k != nil {
		delete(c.running, id.key)
		k.over = true
		k.cancel()
	}
}

// request answers a request or starts the call that will.
func (c *conversation) request(m message) {
	if c.inFlight(m.id) {
		c.sendError(m.id, errorf(codeInvalidRequest, "the id is in use by a request in flight"))
		return
	}
	e, bad := eraOf(m)
	if bad == nil {
		bad = c.route(m, e)
	}
	if bad != nil {
		c.sendError(m.id, bad)
	}
}

// route sends m to what answers it, or returns the refusal.
func (c *conversation) route(m message, e era) *rpcError {
	switch m.method {
	case "initialize", "ping":
		if e.modern {
			break // not in that era
		}
		if m.method == "initialize" {
			return c.initialize(m)
		}
		c.sendResult(m.id, e, map[string]any{})
		return nil
	case "server/discover":
		if !e.modern {
			return errorf(codeInvalidParams, "server/discover needs _meta with %s", metaVersion)
		}
		c.sendResult(m.id, e, c.server.discovery())
		return nil
	case "tasks/get", "tasks/cancel", "tasks/update":
		return c.task(m, e)
	case "tools/list", "tools/call":
		if !e.modern && !c.initialized {
			return errorf(codeInvalidRequest, "%s before initialize", m.method)
		}
		if m.method == "tools/list" {
			return c.list(m, e)
		}
		return c.call(m, e)
	}
	return errorf(codeUnknownMethod, "unknown method")
}

func (c *conversation) inFlight(id *requestID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[id.key] != nil
}

// response is an answer; exactly one of Result and Error is set.
type response struct {
	Version string    `json:"jsonrpc"`
	ID      any       `json:"id,omitempty"`
	Result  any       `json:"result,omitempty"`
	Error   *rpcError `json:"error,omitempty"`
}

// answer is the line of a response. An id that could not be read is left out
// (schema 2025-11-25, JSONRPCErrorResponse; null is no RequestId).
func answer(id *requestID, result any, bad *rpcError) []byte {
	r := response{Version: "2.0", Result: result, Error: bad}
	if id != nil {
		r.ID = id.raw
	}
	return encode(r)
}

func encode(v any) []byte {
	line, err := strictjson.Encode(v)
	if err != nil {
		panic(err) // a schema of ours that is not JSON
	}
	return line
}

func (c *conversation) sendResult(id *requestID, e era, result map[string]any) {
	c.send(answer(id, c.server.finish(e, result), nil))
}

func (c *conversation) sendError(id *requestID, bad *rpcError) { c.send(answer(id, nil, bad)) }

func (c *conversation) send(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(line)
}

// write sends one line; mu is held. The first error ends the conversation.
func (c *conversation) write(line []byte) {
	if c.werr != nil || c.ended.Load() {
		return
	}
	if _, err := c.w.Write(line); err != nil {
		c.werr = err
		c.fail(&writeError{err})
	}
}

// writeError is the cause with which a failed write ends the context.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

func (c *conversation) writeError() error {
	if e, ok := context.Cause(c.ctx).(*writeError); ok {
		return e
	}
	return nil
}

// drain lets the calls in progress answer after the end of input.
func (c *conversation) drain() {
	close(c.closing)
	done := make(chan struct{})
	go func() { c.calls.Wait(); close(done) }()
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-c.ctx.Done():
	}
}
