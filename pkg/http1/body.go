package http1

import (
	"bufio"
	"bytes"
	"io"
)

// Body reads a message's content off a connection, and not one byte more. It
// is not safe for several goroutines at once.
type Body struct {
	br   *bufio.Reader
	left int64 // bytes of content, or of the chunk, still to come
	next step
	err  error // what every further Read returns

	excess  int64 // chunked: bytes that are not content, beyond a fair share
	trailer Header
	tbytes  int // bytes of the trailer section so far
	tfields int
}

// step is what comes next in the stream.
type step uint8

const (
	content   step = iota // left bytes of content
	untilEOF              // content to the end of the stream
	sizeLine              // a chunk's size
	chunkData             // left bytes of a chunk
	chunkEnd              // the CRLF after a chunk
	trailers              // a trailer field, or the empty line
)

// NewBody returns the content of length bytes at the front of br; -1 is chunked
// and -2 ends with the stream, as Request.ContentLength and
// Response.ContentLength say. A body of length 0 is Done at once.
func NewBody(br *bufio.Reader, length int64) *Body {
	b := new(Body)
	b.Reset(br, length)
	return b
}

// Reset makes b what NewBody returns.
func (b *Body) Reset(br *bufio.Reader, length int64) {
	*b = Body{br: br, left: length}
	switch {
	case length == 0:
		b.err = io.EOF
	case length == -1:
		b.left, b.next = 0, sizeLine
	case length < -1:
		b.left, b.next = 0, untilEOF
	}
}

// Read fills p with content. It returns what is there without waiting for more.
// The error is io.EOF at the true end and only there (with the last bytes where
// the end is known by then), io.ErrUnexpectedEOF when the stream ends before,
// an *Error when the chunks are not acceptable, and otherwise what reading
// gave. Every error is final, a time-out too.
//
// p longer than br's buffer is filled from the connection itself.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	switch b.next {
	case content:
		n, b.err = b.take(p)
		if b.err == nil && b.left == 0 {
			b.err = io.EOF
		}
	case untilEOF:
		n, b.err = b.br.Read(p)
	default:
		n, b.err = b.readChunks(p)
	}
	return n, b.err
}

// take reads content that is bounded by left.
func (b *Body) take(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.br.Read(p)
	b.left -= int64(n)
	return n, cut(err)
}

// Done reports that the content was read to its true end, so that the
// connection stands at the next message.
func (b *Body) Done() bool { return b.err == io.EOF }

// InContent reports that the next byte of the stream is content, so that a Read
// waits for no framing.
func (b *Body) InContent() bool {
	return b.err == nil && (b.left > 0 && (b.next == content || b.next == chunkData) || b.next == untilEOF)
}

// Ready reports that a Read at the front of the content gives some, or its end,
// without waiting for the peer.
func (b *Body) Ready() bool {
	buf, _ := b.br.Peek(b.br.Buffered())
	if b.next != sizeLine {
		return len(buf) > 0
	}
	i := bytes.IndexByte(buf, '\n')
	return i > 0 && len(buf) > i+1 && (buf[0] != '0' || bytes.Contains(buf, crlf2))
}

// Trailer returns the trailer fields of a chunked body that is Done: those that
// may be passed on (RFC 9110 §6.5.1). Fields about framing, routing,
// credentials, conditions and the content's form are dropped.
func (b *Body) Trailer() Header {
	if !b.Done() {
		return nil
	}
	return b.trailer
}
