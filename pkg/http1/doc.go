// Package http1 reads and writes HTTP/1.1 messages (RFC 9112) strictly.
//
// It stands between two parties that may read the same bytes differently, so
// whatever two parsers could frame in two ways is an *Error and never repaired:
// Content-Length beside Transfer-Encoding, repeated or listed lengths, any
// coding but "chunked", bare CR or LF, folded lines, a space before the colon,
// odd chunk sizes. RFC 9112 lets a recipient tolerate some of these (an empty
// line before a request, §2.2; bare LF, §2.2; equal doubled lengths, §6.3);
// this package tolerates none.
//
// After any error but io.EOF of ReadRequest an unknown part of the message has
// been consumed: the connection can carry one answer at most and must be
// closed.
package http1

// Error is a message that is not HTTP/1.1 as this package accepts it.
type Error struct {
	// Status is what to answer: for a request 400, 414, 417, 431, 501 or 505,
	// for a response always 502.
	Status int
	// Msg says what is wrong and what was wanted; it holds no control bytes.
	Msg string
}

// Error returns the message alone; the status is for the caller.
func (e *Error) Error() string { return e.Msg }

func bad(msg string) *Error { return &Error{400, msg} }

// Limits bound a message's head, and the trailer section of a body.
type Limits struct {
	HeadBytes int // start line and fields with their line ends; 0 is 64 KiB
	Fields    int // number of fields; 0 is 256
}

func (l Limits) orDefault() Limits {
	if l.HeadBytes <= 0 {
		l.HeadBytes = 64 << 10
	}
	if l.Fields <= 0 {
		l.Fields = 256
	}
	return l
}
