package mcp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

const taskMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// TestTasks: only a client that declares the extension in this very request gets
// a task, and may ask about it.
func TestTasks(t *testing.T) {
	s := testServer()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	task := Task{ID: "t-1", Message: "at it", Created: at, Updated: at}
	s.Tools = append(s.Tools, Tool{Name: "later", InputSchema: s.Tools[0].InputSchema, Call: func(_ context.Context, c Call) (Result, error) {
		if !c.Tasks {
			return Result{Text: "now"}, nil
		}
		return Result{Task: &task}, nil
	}})
	s.Task = func(_ context.Context, id string) (Task, error) {
		switch id {
		case "t-1":
			return task, nil
		case "done":
			return Task{ID: id, Created: at, Updated: at, Result: &Result{Text: "no", IsError: true}}, nil
		case "broken":
			return Task{}, errors.New("/home/op: full")
		}
		return Task{}, ErrNoTask
	}
	seed := `"createdAt":"2026-11-26T12:00:00Z","lastUpdatedAt":"2026-11-26T12:00:00Z","pollIntervalMs":2000,`
	d := talk(t, s)
	for _, c := range []struct{ method, params, want string }{
		{"server/discover", taskMeta, `"extensions":{"io.modelcontextprotocol/tasks":{}}`},
		{"tools/call", `"name":"later",` + taskMeta, `"result":{` + modernInfo + `,` + seed + `"resultType":"task","status":"working","statusMessage":"at it","taskId":"t-1","ttlMs":null}`},
		{"tools/call", `"name":"later",` + modernMeta, `"content":[{"text":"now","type":"text"}],"resultType":"complete"`},
		{"tasks/get", `"taskId":"t-1",` + taskMeta, seed + `"resultType":"complete","status":"working"`},
		{"tasks/get", `"taskId":"done",` + taskMeta, `"result":{"content":[{"text":"no","type":"text"}],"isError":true,"resultType":"complete"},"resultType":"complete","status":"completed"`},
		{"tasks/cancel", `"taskId":"t-1",` + taskMeta, `"result":{` + modernInfo + `,"resultType":"complete"}`},
		{"tasks/update", `"taskId":"t-1","inputResponses":{},` + taskMeta, `"result":{` + modernInfo + `,"resultType":"complete"}`},
		{"tasks/get", `"taskId":"t-1",` + taskMeta, `"status":"working"`},
		{"tasks/get", `"taskId":"none",` + taskMeta, `"error":{"code":-32602,"message":"no such task"}`},
		{"tasks/get", `"taskId":7,` + taskMeta, `"code":-32602`},
		{"tasks/get", `"taskId":"broken",` + taskMeta, `"code":-32603,"message":"internal error`},
		{"tasks/get", `"taskId":"t-1",` + modernMeta, `"code":-32021,"message":"missing required client capability","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`},
		{"tasks/get", `"taskId":"t-1"`, `"code":-32601`},
		{"tasks/result", `"taskId":"t-1",` + taskMeta, `"code":-32601`},
	} {
		d.post(`{"jsonrpc":"2.0","id":1,"method":"` + c.method + `","params":{` + c.params + `}}`)
		got, err := d.out.ReadString('\n')
		if err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s (%v), want %s", c.method, c.params, got, err, c.want)
		}
	}
}
