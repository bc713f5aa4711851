package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"bottle/pkg/strictjson"
)

// Error codes: JSON-RPC 2.0 §5.1, and the one that 2026-07-28 adds for a
// protocol version that is not spoken here.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalidParams  = -32602
	codeInternal       = -32603
	codeVersion        = -32022
)

// rpcError is the "error" member of an answer.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func errorf(code int, format string, args ...any) *rpcError {
	return &rpcError{Code: code, Message: fmt.Sprintf(format, args...)}
}

type object = map[string]json.RawMessage

// requestID is the id of a request: the bytes that are echoed, and a key that is
// equal for equal ids however they are spelt ("a" and "\u0061", 0 and -0), and
// different for "7" and 7.
type requestID struct {
	raw json.RawMessage
	key string
}

// maxID bounds the bytes of an id, since ids are kept while calls run.
const maxID = 1024

var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// parseID reads an id, or a progress token: a string or an integer, never null
// (schema 2025-11-25, RequestId and ProgressToken).
func parseID(raw json.RawMessage) (*requestID, error) {
	if len(raw) == 0 || len(raw) > maxID {
		return nil, fmt.Errorf("an id of %d bytes; wanted 1 to %d", len(raw), maxID)
	}
	if raw[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		return &requestID{bytes.Clone(raw), "s" + s}, nil
	}
	if !integer.Match(raw) {
		return nil, errors.New("wanted a string or an integer")
	}
	key := "n" + string(raw)
	if key == "n-0" {
		key = "n0"
	}
	return &requestID{bytes.Clone(raw), key}, nil
}

// message is one line, read.
type message struct {
	id     *requestID // nil of a notification
	method string     // "" of a response
	params object     // nil when absent
	size   int        // of the line, in bytes
}

// parseMessage reads one line. With an error the id is given when it could be
// read, so that the client's request does not wait for ever.
func parseMessage(line []byte) (m message, bad *rpcError) {
	m.size = len(line)
	err := strictjson.Check(line)
	var dup *strictjson.DuplicateError
	if err != nil && !errors.As(err, &dup) {
		return m, errorf(codeParse, "parse error: %v", err)
	}
	top, oerr := strictjson.Object(line)
	if oerr != nil {
		return m, errorf(codeInvalidRequest, "not an object; one message a line, no batches")
	}
	if dup != nil && dup.Depth == 1 {
		return m, errorf(codeInvalidRequest, "%v", err)
	}
	if isResponse(top) {
		return m, nil // we asked nothing; an answer to it could go on for ever
	}
	if raw, ok := top["id"]; ok {
		if m.id, err = parseID(raw); err != nil {
			return m, errorf(codeInvalidRequest, "bad id: %v", err)
		}
	}
	if dup != nil {
		return m, errorf(codeInvalidRequest, "%v", dup)
	}
	return m, m.fill(top)
}

// isResponse reports whether the message answers a request.
func isResponse(top object) bool {
	_, method := top["method"]
	_, result := top["result"]
	_, failed := top["error"]
	return !method && result != failed
}

// fill reads the members besides the id.
func (m *message) fill(top object) *rpcError {
	if string(top["jsonrpc"]) != `"2.0"` {
		return errorf(codeInvalidRequest, `"jsonrpc" is not "2.0"`)
	}
	method, ok := top["method"]
	if !ok {
		return errorf(codeInvalidRequest, `no "method"`)
	}
	if json.Unmarshal(method, &m.method) != nil || m.method == "" {
		return errorf(codeInvalidRequest, `"method" is not a name`)
	}
	if params, ok := top["params"]; ok {
		var err error
		if m.params, err = strictjson.Object(params); err != nil {
			return errorf(codeInvalidParams, `"params" is %v`, err)
		}
	}
	return nil
}

// text reads the member key of o as a string; ok is false if it is absent or
// something else.
func text(o object, key string) (s string, ok bool) {
	raw := o[key]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// member reads the member key of o as an object; ok is false if it is absent or
// something else.
func member(o object, key string) (m object, ok bool) {
	raw, ok := o[key]
	if !ok {
		return nil, false
	}
	m, err := strictjson.Object(raw)
	return m, err == nil
}
