package http1

import (
	"bufio"
	"strings"
)

// Response is an answer's head, final or interim. Its strings share one
// allocation.
type Response struct {
	Status int    // 100 to 999
	Reason string // may be empty
	Minor  int    // of the version: HTTP/1.Minor
	Header Header // the fields as received
	// ContentLength is the bytes of content that follow: 0 none, -1 chunked,
	// -2 until the connection closes. After HEAD it is 0 whatever
	// Content-Length says.
	ContentLength int64
	// Close reports that the connection cannot carry another exchange:
	// Connection says close, it is HTTP/1.0, or the content ends with it.
	Close bool
}

// ReadResponse reads one answer's head from br and nothing after it; its
// content is then NewBody(br, ContentLength). method is the request's. A 1xx is
// returned like any other: the caller reads on after it, but after 101, whose
// connection speaks another protocol, as it does after a 2xx to CONNECT.
//
// Errors are as those of ReadRequest; an *Error has the status 502. io.EOF says
// that not one byte came. Surplus bytes after the content are the caller's to
// see: br.Buffered() > 0 when no answer is due.
func ReadResponse(br *bufio.Reader, method string, lim Limits) (*Response, error) {
	resp := new(Response)
	if err := resp.Read(br, method, lim); err != nil {
		return nil, err
	}
	return resp, nil
}

// Read is ReadResponse into r, whose old content is lost; the room of its
// Header is used again. After an error r holds nothing of use.
func (r *Response) Read(br *bufio.Reader, method string, lim Limits) error {
	lim = lim.orDefault()
	*r = Response{Header: r.Header[:0]}
	head, err := readHead(br, lim, r)
	if err != nil {
		return gateway(err)
	}
	line, rest, e := nextLine(head)
	if e == nil {
		e = r.line(line)
	}
	if e == nil {
		e = r.fields(rest, method, lim)
	}
	if e != nil {
		return gateway(e)
	}
	return nil
}

// gateway makes the status of an *Error 502: what is wrong is the origin's
// answer and not the client's request.
func gateway(err error) error {
	if e, ok := err.(*Error); ok {
		return &Error{502, e.Msg}
	}
	return err
}

func (r *Response) begins(c byte) *Error {
	if c != 'H' {
		return bad("the answer does not begin with HTTP/; wanted HTTP/1.1")
	}
	return nil
}

func (r *Response) tooLong(int) *Error { return bad("the answer's head is too long") }

// line reads the status line (RFC 9112 §4). The space after the status may be
// missing with an empty reason, which many servers send and all read alike.
func (r *Response) line(line string) *Error {
	version, rest, _ := strings.Cut(line, " ")
	status, reason, _ := strings.Cut(rest, " ")
	minor, e := parseVersion(version)
	switch {
	case e != nil:
		return e
	case len(status) != 3 || !all(status, digit) || status[0] == '0':
		return bad("a malformed status line; wanted version, three digits and a reason")
	case !all(reason, vtext):
		return bad("the reason in the status line holds a control byte")
	}
	r.Status = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	r.Minor, r.Reason = minor, reason
	return nil
}

// fields reads the field lines and what they say of the message.
func (r *Response) fields(lines, method string, lim Limits) *Error {
	fr := framing{length: -1}
	h, e := parseFields(r.Header, lines, lim.Fields, &fr)
	if e == nil {
		e = fr.agree(r.Minor)
	}
	if e != nil {
		return e
	}
	r.Header, r.Close = h, fr.close || r.Minor == 0
	return r.frame(method, fr)
}

// frame finds the length of the content in the order of RFC 9112 §6.3.
func (r *Response) frame(method string, fr framing) *Error {
	switch {
	case method == "CONNECT" && r.Status/100 == 2: // §6.3 item 2: a tunnel, lengths mean nothing
	case r.Status/100 == 1 || r.Status == 204:
		// RFC 9110 §8.6, RFC 9112 §6.1: no framing here. A zero does no harm
		// and is often sent; others take the rest for content.
		if fr.chunked || fr.length > 0 {
			return bad("an answer that has no content, with a length")
		}
	case method == "HEAD" || r.Status == 304:
	case fr.chunked:
		r.ContentLength = -1
	case fr.length >= 0:
		r.ContentLength = fr.length
	default:
		r.ContentLength, r.Close = -2, true
	}
	return nil
}
