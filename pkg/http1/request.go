package http1

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// Request is a request's head. Its strings share one allocation, so that
// keeping one of them keeps the whole head in memory.
type Request struct {
	Method, Target string // as sent; any token and any visible ASCII
	Minor          int    // of the version: HTTP/1.Minor
	// Header is the fields as received, but for an Expect that means nothing
	// (see Expect), which is taken out.
	Header        Header
	ContentLength int64 // bytes of content; 0 none, -1 chunked
	// Close reports that the connection ends after this exchange: Connection
	// says close, or it is HTTP/1.0, whose keep-alive is not supported.
	Close bool
	// Expect reports that the client waits for a 100 (RFC 9110 §10.1.1) before
	// it sends its content: on 1.1, with content.
	Expect bool
}

// ReadRequest reads one request's head from br and nothing after it; its
// content is then NewBody(br, ContentLength). The error is io.EOF when br ends
// before the first byte, io.ErrUnexpectedEOF when it ends inside the head, an
// *Error when what came is not acceptable, and otherwise what reading gave, so
// that a time-out is still a net.Error. A caller with one deadline for an idle
// connection and another for a slow head calls br.Peek(1) in between.
//
// Beyond RFC 9112 it refuses an empty line before the request (§2.2 tells
// servers to ignore one), an expectation other than 100-continue (417), and
// content in a CONNECT, after which some parsers see a tunnel and others a body.
func ReadRequest(br *bufio.Reader, lim Limits) (*Request, error) {
	req := new(Request)
	if err := req.Read(br, lim); err != nil {
		return nil, err
	}
	return req, nil
}

// Read is ReadRequest into r, whose old content is lost; the room of its Header
// is used again. After an error r holds nothing of use.
func (r *Request) Read(br *bufio.Reader, lim Limits) error {
	lim = lim.orDefault()
	*r = Request{Header: r.Header[:0]}
	head, err := readHead(br, lim, r)
	if err != nil {
		return err
	}
	line, rest, e := nextLine(head)
	if e == nil {
		e = r.line(line)
	}
	if e == nil {
		e = r.fields(rest, lim)
	}
	if e != nil {
		return e
	}
	return nil
}

// Plausible reports whether the beginning of a head may become one that Read
// accepts, as far as Read judges it before the rest has come: by its first byte
// and its request line.
func Plausible(head []byte) bool {
	var r Request
	if len(head) == 0 || r.begins(head[0]) != nil {
		return false
	}
	end := bytes.IndexByte(head, '\n')
	if end < 0 {
		return true
	}
	line, e := chopCRLF(head[:end+1])
	return e == nil && r.line(string(line)) == nil
}

// begins refuses what TLS and other protocols start with; they may never send a
// line end.
func (r *Request) begins(c byte) *Error {
	if c == '\r' || c == '\n' {
		return bad("an empty line before the request; wanted the request line")
	}
	if class[c]&tchar == 0 {
		return bad("the first byte begins no method; wanted an HTTP/1.1 request")
	}
	return nil
}

func (r *Request) tooLong(lines int) *Error {
	if lines == 0 {
		return &Error{414, "the request line is too long"}
	}
	return &Error{431, "the request's head is too long"}
}

// line reads the request line (RFC 9112 §3): two single spaces and nothing else
// between its three parts.
func (r *Request) line(line string) *Error {
	method, rest, ok := strings.Cut(line, " ")
	targ, version, versioned := strings.Cut(rest, " ")
	switch {
	case !ValidToken(method):
		return bad("the request line does not begin with a method")
	case !ok || !ValidTarget(targ):
		return bad("a malformed request line; wanted method, target and version, single spaces between")
	case !versioned:
		return &Error{505, "a request line without a version (HTTP/0.9); wanted HTTP/1.1"}
	}
	minor, e := parseVersion(version)
	r.Method, r.Target, r.Minor = method, targ, minor
	return e
}

// parseVersion reads "HTTP/1.1" or "HTTP/1.0", in upper case (RFC 9112 §2.3).
func parseVersion(s string) (minor int, e *Error) {
	switch s {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	v, ok := strings.CutPrefix(s, "HTTP/")
	if ok && v != "" && strings.Trim(v, "0123456789.") == "" {
		return 0, &Error{505, "another version of HTTP; wanted HTTP/1.1 or HTTP/1.0"}
	}
	return 0, bad("the start line has no version; wanted HTTP/1.1 or HTTP/1.0")
}

// fields reads the field lines and what they say of the message.
func (r *Request) fields(lines string, lim Limits) *Error {
	fr := framing{length: -1}
	h, e := parseFields(r.Header, lines, lim.Fields, &fr)
	if e == nil {
		e = fr.agree(r.Minor)
	}
	if e != nil {
		return e
	}
	r.Header, r.Close = h, fr.close || r.Minor == 0
	r.ContentLength = max(fr.length, 0)
	if fr.chunked {
		r.ContentLength = -1
	}
	if e := r.checkHost(fr.hosts); e != nil {
		return e
	}
	if r.Method == "CONNECT" && r.ContentLength != 0 {
		return bad("a CONNECT with content; wanted none")
	}
	return r.expectation(fr)
}

// checkHost wants one Host on 1.1 (RFC 9112 §3.2) and at most one on 1.0.
func (r *Request) checkHost(n int) *Error {
	if n > 1 {
		return bad("Host is there " + strconv.Itoa(n) + " times; wanted it once")
	}
	if n == 0 && r.Minor > 0 {
		return bad("no Host; wanted one")
	}
	return nil
}

// expectation settles Expect. One that obliges nobody must not travel on: an
// origin that answers it would be one answer ahead.
func (r *Request) expectation(fr framing) *Error {
	if fr.expect > 1 || fr.expect == 1 && !fr.cont {
		return &Error{417, "an Expect other than one 100-continue"}
	}
	r.Expect = fr.cont && r.Minor > 0 && r.ContentLength != 0
	if fr.cont && !r.Expect {
		r.Header = r.Header.Del("Expect")
	}
	return nil
}
