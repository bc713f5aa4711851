package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// testServer has a tool that answers, one that waits for its end, and one that
// fails.
func testServer() *Server {
	schema := json.RawMessage(`{"type":"object","additionalProperties":false}`)
	return &Server{
		Name: "test", Version: "1", Instructions: "do",
		Tools: []Tool{
			{Name: "echo", Title: "Echo", Description: "Says it again.", InputSchema: schema, Annotations: Annotations{ReadOnly: true},
				Call: func(_ context.Context, c Call) (Result, error) {
					return Result{Text: c.Client + " " + string(c.Arguments)}, nil
				}},
			{Name: "wait", Description: "Waits.", InputSchema: schema,
				Call: func(ctx context.Context, c Call) (Result, error) {
					c.Progress("one")
					c.Progress("two")
					select {
					case <-ctx.Done():
						return Result{}, ctx.Err()
					case <-c.Closing:
						return Result{Text: "closing"}, nil
					}
				}},
			{Name: "fail", Description: "Fails.", InputSchema: schema,
				Call: func(context.Context, Call) (Result, error) { return Result{}, errors.New("/home/op: full") }},
		},
	}
}

// dialogue is a conversation over pipes.
type dialogue struct {
	t    *testing.T
	in   *io.PipeWriter
	out  *bufio.Reader
	done chan error
	stop context.CancelFunc
}

func talk(t *testing.T, s *Server) *dialogue {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	d := &dialogue{t, inW, bufio.NewReader(outR), make(chan error, 1), cancel}
	go func() {
		d.done <- s.Serve(ctx, inR, outW)
		outW.Close()
	}()
	t.Cleanup(func() { cancel(); inW.Close(); outR.Close() })
	return d
}

func (d *dialogue) send(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

// post sends lines without waiting for the server to take them.
func (d *dialogue) post(lines ...string) {
	go io.WriteString(d.in, strings.Join(lines, "\n")+"\n")
}

// want reads the next line, which must be this one.
func (d *dialogue) want(line string) {
	d.t.Helper()
	got, err := d.out.ReadString('\n')
	if err != nil || strings.TrimSuffix(got, "\n") != line {
		d.t.Fatalf("got  %s (%v)\nwant %s", strings.TrimSpace(got), err, line)
	}
}

func (d *dialogue) ended(within time.Duration) {
	d.t.Helper()
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Errorf("Serve returned %v", err)
		}
	case <-time.After(within):
		d.t.Error("Serve did not return")
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"new","version":"2"}}`
const modernTail = `"resultType":"complete"`
const modernInfo = `"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"test","version":"1"}}`

// TestOneLine sends one line in a conversation of its own and compares the
// answer. "" wants none; ping shows then that the server lives.
func TestOneLine(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"ping", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"string id", `{"jsonrpc":"2.0","id":"<\u0061>","method":"ping"}`, `{"jsonrpc":"2.0","id":"<\u0061>","result":{}}`},
		{"huge integer id", `{"jsonrpc":"2.0","id":123456789012345678901,"method":"ping"}`, `{"jsonrpc":"2.0","id":123456789012345678901,"result":{}}`},
		{"carriage return", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"bad id: wanted a string or an integer"}}`},
		{"fraction id", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"bad id: wanted a string or an integer"}}`},
		{"no json", `hello`, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error: not valid JSON"}}`},
		{"no utf-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", `{"jsonrpc":"2.0","error":{"code":-32700,"message":"parse error: not valid UTF-8"}}`},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"not an object; one message a line, no batches"}}`},
		{"version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"\"jsonrpc\" is not \"2.0\""}}`},
		{"other case", `{"jsonrpc":"2.0","id":1,"Method":"ping"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"no \"method\""}}`},
		{"duplicate key", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"duplicate key \"id\""}}`},
		{"duplicate inner key", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"a":2}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"duplicate key \"a\""}}`},
		{"params list", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"\"params\" is not an object"}}`},
		{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"unknown method"}}`},
		{"list too early", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"tools/list before initialize"}}`},
		{"call too early", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"tools/call before initialize"}}`},
		{"discover without meta", `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"server/discover needs _meta with io.modelcontextprotocol/protocolVersion"}}`},
		{"initialize without client", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"initialize has no clientInfo with name and version"}}`},
		{"old version", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`, `{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}},"instructions":"do","protocolVersion":"2024-11-05","serverInfo":{"name":"test","version":"1"}}}`},
		{"modern version in initialize", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}`, `{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{}},"instructions":"do","protocolVersion":"2025-11-25","serverInfo":{"name":"test","version":"1"}}}`},
		{"discover", `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`, `{"jsonrpc":"2.0","id":1,"result":{` + modernInfo + `,"cacheScope":"public","capabilities":{"tools":{}},"instructions":"do",` + modernTail + `,"supportedVersions":["2026-07-28"],"ttlMs":3600000}}`},
		{"modern unknown version", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"unsupported protocol version","data":{"requested":"2030-01-01","supported":["2026-07-28"]}}}`},
		{"modern without capabilities", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"_meta has no object io.modelcontextprotocol/clientCapabilities"}}`},
		{"modern ping", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + modernMeta + `}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"unknown method"}}`},
		{"modern call", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + modernMeta + `,"name":"echo","arguments":{"a":1}}}`, `{"jsonrpc":"2.0","id":1,"result":{` + modernInfo + `,"content":[{"text":"new {\"a\":1}","type":"text"}],` + modernTail + `}}`},
		{"notification", `{"jsonrpc":"2.0","method":"notifications/unknown"}`, ""},
		{"call without id", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"fail"}}`, ""},
		{"notification with a list", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}`, ""},
		{"response", `{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"no"}}`, ""},
		{"cancel of nothing", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}`, ""},
		{"empty", ` `, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := talk(t, testServer())
			last := `{"jsonrpc":"2.0","id":"last","method":"ping"}`
			if c.want == "" {
				d.post(c.in, last)
			} else {
				d.post(c.in)
				d.want(c.want)
				d.post(last)
			}
			d.want(`{"jsonrpc":"2.0","id":"last","result":{}}`)
			d.in.Close()
			d.ended(5 * time.Second)
		})
	}
}

func TestToolsListAndCalls(t *testing.T) {
	d := talk(t, testServer())
	d.post(initializeLine)
	d.wantInitialized()
	d.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	none := `"annotations":{"readOnlyHint":false,"destructiveHint":false,"idempotentHint":false,"openWorldHint":false}}`
	schema := `"inputSchema":{"type":"object","additionalProperties":false},`
	d.want(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo","title":"Echo","description":"Says it again.",` + schema +
		strings.Replace(none, `"readOnlyHint":false`, `"readOnlyHint":true`, 1) +
		`,{"name":"wait","description":"Waits.",` + schema + none + `,{"name":"fail","description":"Fails.",` + schema + none + `]}}`)
	for _, c := range []struct{ params, want string }{
		{`{"name":"echo","arguments":{"x":"<"}}`, `"result":{"content":[{"text":"cli {\"x\":\"<\"}","type":"text"}]}}`},
		{`{"name":"echo"}`, `"result":{"content":[{"text":"cli {}","type":"text"}]}}`},
		{`{"name":"none"}`, `"error":{"code":-32602,"message":"unknown tool"}}`},
		{`{"name":7}`, `"error":{"code":-32602,"message":"tools/call has no string name"}}`},
		{`{"name":"echo","arguments":[]}`, `"error":{"code":-32602,"message":"arguments is not an object"}}`},
		{`{"name":"echo","arguments":null}`, `"error":{"code":-32602,"message":"arguments is not an object"}}`},
		{`{"name":"echo","_meta":{"progressToken":1.5}}`, `"error":{"code":-32602,"message":"bad progressToken: wanted a string or an integer"}}`},
		{`{"name":"fail"}`, `"error":{"code":-32603,"message":"internal error; the operator's log has the cause"}}`},
	} {
		d.post(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":` + c.params + `}`)
		d.want(`{"jsonrpc":"2.0","id":2,` + c.want)
	}
	d.post(`{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":"x"}}`)
	d.want(`{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"unknown cursor; the list has one page"}}`)
	d.post(initializeLine)
	d.want(`{"jsonrpc":"2.0","id":"i","error":{"code":-32600,"message":"already initialized"}}`)
}

const initializeLine = `{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"cli","version":"1"}}}`

func (d *dialogue) wantInitialized() {
	d.t.Helper()
	d.want(`{"jsonrpc":"2.0","id":"i","result":{"capabilities":{"tools":{}},"instructions":"do","protocolVersion":"2025-11-25","serverInfo":{"name":"test","version":"1"}}}`)
}

// started starts the tool wait with id, and reads its two notifications.
func (d *dialogue) started(id string) {
	d.t.Helper()
	d.post(`{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"wait","_meta":{"progressToken":` + id + `}}}`)
	d.want(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"one","progress":1,"progressToken":` + id + `}}`)
	d.want(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"two","progress":2,"progressToken":` + id + `}}`)
}

func waiting(t *testing.T) *dialogue {
	d := talk(t, testServer())
	d.post(initializeLine)
	d.wantInitialized()
	d.started("7")
	return d
}

func TestOthersAreServedWhileACallWaits(t *testing.T) {
	d := waiting(t)
	d.post(`{"jsonrpc":"2.0","id":8,"method":"ping"}`)
	d.want(`{"jsonrpc":"2.0","id":8,"result":{}}`)
	d.post(`{"jsonrpc":"2.0","id":7,"method":"ping"}`)
	d.want(`{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"the id is in use by a request in flight"}}`)
}

func TestCancelSendsNothingMore(t *testing.T) {
	d := waiting(t)
	// "7" is not 7.
	d.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"7"}}`)
	d.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"enough"}}`)
	d.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
	d.started("7") // the id is free again
	d.in.Close()
	d.want(`{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"closing","type":"text"}]}}`)
	d.ended(5 * time.Second)
}

func TestEndOfInputEndsCalls(t *testing.T) {
	d := waiting(t)
	d.in.Close()
	d.want(`{"jsonrpc":"2.0","id":7,"result":{"content":[{"text":"closing","type":"text"}]}}`)
	d.ended(time.Second)
}

func TestContextEndsAtOnce(t *testing.T) {
	d := waiting(t)
	d.stop()
	d.ended(time.Second)
}

// TestContextEndsABlockedWrite: nobody reads the answer.
func TestContextEndsABlockedWrite(t *testing.T) {
	d := talk(t, testServer())
	d.send(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	d.stop()
	d.ended(time.Second)
}

func TestWriteErrorIsReturned(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	inR, inW := io.Pipe()
	defer inW.Close()
	go io.WriteString(inW, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n")
	if err := testServer().Serve(context.Background(), inR, w); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

func TestCallsAreBounded(t *testing.T) {
	s := testServer()
	s.MaxCalls = 1
	d := talk(t, s)
	d.post(initializeLine)
	d.wantInitialized()
	d.started("1")
	d.post(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"wait"}}`)
	got, err := d.out.ReadString('\n')
	if err != nil || !strings.Contains(got, "too many calls are running") || !strings.Contains(got, `"isError":true`) {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestLongLine: one of exactly the limit is read, a longer one is dropped, and
// the next is served.
func TestLongLine(t *testing.T) {
	head, tail := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"`, `"}}`
	fits := head + strings.Repeat("x", MaxLine-len(head)-len(tail)) + tail
	d := talk(t, testServer())
	go func() {
		d.send(fits)
		d.send(strings.Replace(fits, "x", "xx", 1))
		d.send(strings.Repeat("y", 3*MaxLine))
		d.send(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	}()
	d.want(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	d.want(`{"jsonrpc":"2.0","error":{"code":-32600,"message":"line longer than 4194304 bytes"}}`)
	d.want(`{"jsonrpc":"2.0","error":{"code":-32600,"message":"line longer than 4194304 bytes"}}`)
	d.want(`{"jsonrpc":"2.0","id":2,"result":{}}`)
}
