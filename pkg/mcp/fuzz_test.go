package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"bottle/pkg/strictjson"
)

// FuzzMCPLine sends any bytes between a handshake and a ping: every line that
// comes out is one valid JSON-RPC message, and the ping is answered.
func FuzzMCPLine(f *testing.F) {
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":"\ud800","method":"tools/call","params":{"name":"echo","arguments":{"a":[1]}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait","_meta":{"progressToken":"p"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{` + modernMeta + `}}`,
		`{"jsonrpc":"2.0","id":-0,"method":"ping","params":{"_meta":{}}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
		"\xff\x00\n{}\n[]\n\"\"\n1",
	} {
		f.Add([]byte(line))
	}
	const last = `{"jsonrpc":"2.0","id":"the very last","method":"ping"}`
	f.Fuzz(func(t *testing.T, line []byte) {
		in := initializeLine + "\n" + string(line) + "\n" + last
		var out bytes.Buffer
		if err := testServer().Serve(context.Background(), strings.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(out.String(), "\n")
		if tail := lines[len(lines)-1]; tail != "" {
			t.Fatalf("a line without its end: %q", tail)
		}
		alive := false
		for _, l := range lines[:len(lines)-1] {
			checkMessage(t, l)
			alive = alive || strings.Contains(l, `"the very last"`)
		}
		if !alive {
			t.Errorf("no answer to ping in %q", out.String())
		}
	})
}

// checkMessage: an answer with result or error, or a progress notification.
func checkMessage(t *testing.T, line string) {
	t.Helper()
	if err := strictjson.Check([]byte(line)); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	m, err := strictjson.Object([]byte(line))
	if err != nil || string(m["jsonrpc"]) != `"2.0"` {
		t.Fatalf("%q: no JSON-RPC (%v)", line, err)
	}
	_, method := m["method"]
	_, result := m["result"]
	_, failed := m["error"]
	id, hasID := m["id"]
	if hasID {
		if _, err := parseID(id); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if method && (hasID || result || failed) || !method && result == failed || result && !hasID {
		t.Errorf("%q: neither answer nor notification", line)
	}
	var e rpcError
	if failed && (json.Unmarshal(m["error"], &e) != nil || e.Code == 0 || e.Message == "") {
		t.Errorf("%q: bad error", line)
	}
}
