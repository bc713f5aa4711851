// Package mcp speaks the Model Context Protocol as a server over two streams:
// JSON-RPC 2.0, one message a line, and the handshakes of both eras, "legacy"
// (initialize, up to 2025-11-25) and "modern" (2026-07-28: every request brings
// its own _meta). It knows no tool.
//
// The client is not trusted: a line has a bounded length and one reading
// (pkg/strictjson), calls are bounded in number and bytes, and whatever comes
// in, what goes out is one valid JSON-RPC message a line.
package mcp

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"
)

const (
	// MaxLine is the longest line taken, in bytes; the specification sets none.
	MaxLine = 4 << 20
	// defaultCalls bounds the calls that run at once in one conversation.
	defaultCalls = 64
	// maxCallBytes bounds the bytes of the lines of all running calls together.
	maxCallBytes = 4 * MaxLine
	// grace is how long calls may go on after the end of input.
	grace = 2 * time.Second
)

// A Server is what one program says of itself in every conversation.
type Server struct {
	Name, Title, Version string
	Instructions         string // told to the model before it knows a schema
	Tools                []Tool // listed in this order
	Log                  *slog.Logger
	MaxCalls             int // calls at once in one conversation; 0 is 64
	// Task finds a task, or ErrNoTask; nil leaves the tasks extension out.
	Task func(ctx context.Context, id string) (Task, error)
}

// A Tool is one tool of a Server.
type Tool struct {
	Name        string // [A-Za-z0-9_.-]{1,128}
	Title       string
	Description string
	InputSchema json.RawMessage // JSON Schema 2020-12 with "type": "object"
	Annotations Annotations
	// Call carries it out. What is wrong with the input, and what else the model
	// can act on, is a Result with IsError (SEP-1303); an error is trouble on our
	// side, logged and told as such without its text, which may name our files.
	// The context ends when the client cancels, and then nothing is sent any more.
	Call func(context.Context, Call) (Result, error)
}

// Annotations are hints about a Tool (schema 2025-11-25, ToolAnnotations). All
// four are always sent, since the defaults of the absent ones differ.
type Annotations struct {
	ReadOnly    bool `json:"readOnlyHint"`
	Destructive bool `json:"destructiveHint"`
	Idempotent  bool `json:"idempotentHint"`
	OpenWorld   bool `json:"openWorldHint"`
}

// A Call is one tools/call.
type Call struct {
	Arguments json.RawMessage // an object that passed strictjson.Check
	Client    string          // the client's name for itself, "" if it gave none
	Watched   bool            // the client asked for progress
	Tasks     bool            // the answer may be a Task: client and server have the extension
	// Progress sends a notification if the client asked for it.
	Progress func(message string)
	// Closing is closed at the end of input: the client sends nothing more, but
	// may still read an answer that comes at once.
	Closing <-chan struct{}
}

// A Result is the answer to a Call: text only. structuredContent is left out on
// purpose: Claude Code then shows the model that in place of the text.
type Result struct {
	Text    string
	IsError bool
	Task    *Task // the call goes on as this; only where Call.Tasks is set, and then all there is
}

// Serve holds one conversation: messages come from r, answers go to w. It
// returns nil at the end of r, after calls in progress had two seconds to
// answer, and when ctx ends, then at once; otherwise the error of r or w. It
// does not wait for a blocked read or write: close r and w afterwards.
func (s *Server) Serve(ctx context.Context, r io.Reader, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &conversation{
		server: s, ctx: ctx, fail: cancel, w: w,
		closing: make(chan struct{}), running: map[string]*call{},
		log: s.Log,
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	defer c.ended.Store(true)
	read := make(chan error, 1)
	go func() { read <- c.read(r) }()
	select {
	case err := <-read:
		if err != nil {
			return err
		}
		c.drain()
	case <-ctx.Done():
	}
	return c.writeError()
}

// tool returns the tool name, nil if there is none.
func (s *Server) tool(name string) *Tool {
	for i := range s.Tools {
		if s.Tools[i].Name == name {
			return &s.Tools[i]
		}
	}
	return nil
}
