package http1

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
)

const (
	maxChunkLine = 1 << 10  // a size with its extensions
	maxExcess    = 16 << 10 // see Body.pay
)

// readChunks fills p from as many chunks as are there (RFC 9112 §7.1). Once it
// has content to give it goes on only while the next line is in the buffer, so
// that a stream's last word is never held back.
func (b *Body) readChunks(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if n > 0 && !b.ready() {
			return n, nil
		}
		switch b.next {
		case sizeLine:
			err = b.readSize()
		case chunkData:
			var m int
			m, err = b.take(p[n:])
			n += m
			if b.left == 0 {
				b.next = chunkEnd
			}
		case chunkEnd:
			err = b.readEnd()
		case trailers:
			err = b.readTrailer()
		}
	}
	return n, err
}

// ready reports that the next step will not wait for the peer.
func (b *Body) ready() bool {
	buf, _ := b.br.Peek(b.br.Buffered())
	if b.next == chunkData {
		return len(buf) > 0
	}
	return bytes.IndexByte(buf, '\n') >= 0
}

// readSize reads a chunk's size: 1 to 16 hex digits and nothing else before the
// line end or the ";" of extensions. Extensions are dropped; no white space is
// taken before them, where parsers differ.
func (b *Body) readSize() error {
	line, err := b.line(maxChunkLine)
	if err == errLong {
		return bad("a chunk's size line is too long")
	}
	if err != nil {
		return err
	}
	size, ext, _ := bytes.Cut(line, []byte(";"))
	if len(size) == 0 || len(size) > 16 || !all(string(size), hexdig) {
		return bad("a malformed chunk size; wanted 1 to 16 hex digits")
	}
	if !all(string(ext), vtext) {
		return bad("a chunk extension holds a control byte")
	}
	n, err := strconv.ParseInt(string(size), 16, 64)
	if err != nil {
		return bad("a chunk size is too large; wanted less than 2^63")
	}
	b.left, b.next = n, chunkData
	if n == 0 {
		b.next = trailers
	}
	return b.pay(len(line)+2, n)
}

// pay bounds the bytes that are not content: a size line is free up to 16 bytes
// and twice the chunk, and the rest of a whole body's lines may come to 16 KiB.
// Without it a few bytes of content could carry endless extensions.
func (b *Body) pay(line int, chunk int64) error {
	b.excess += int64(line) - 16 - 2*min(chunk, 1<<20)
	b.excess = max(b.excess, 0)
	if b.excess > maxExcess {
		return bad("too many bytes of chunk extensions")
	}
	return nil
}

// readEnd reads the CRLF after a chunk's data.
func (b *Body) readEnd() error {
	for _, want := range []byte("\r\n") {
		c, err := b.br.ReadByte()
		if err != nil {
			return cut(err)
		}
		if c != want {
			return bad("no CRLF after a chunk's data")
		}
	}
	b.next = sizeLine
	return nil
}

// readTrailer reads one line of the trailer section (RFC 9112 §7.1.2); the
// empty one ends the body.
func (b *Body) readTrailer() error {
	lim := Limits{}.orDefault()
	line, err := b.line(lim.HeadBytes - b.tbytes)
	if err == errLong {
		return &Error{431, "the trailer section is too long"}
	}
	if err != nil {
		return err
	}
	if len(line) == 0 {
		return io.EOF
	}
	f, e := parseField(string(line))
	if e != nil {
		return e
	}
	b.tbytes += len(line) + 2
	if b.tfields++; b.tfields > lim.Fields {
		return &Error{431, "too many trailer fields"}
	}
	if !ForbiddenTrailer(f.Name) {
		b.trailer = append(b.trailer, f)
	}
	return nil
}

// line reads a line of at most max bytes and returns it without its CRLF; it is
// valid until the next read.
func (b *Body) line(max int) ([]byte, error) {
	line, err := b.br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := append([]byte(nil), line...)
		line, err = appendLine(long, b.br, max)
	}
	if err == nil && len(line) > max {
		err = errLong
	}
	if err != nil {
		return nil, cut(err)
	}
	line, e := chopCRLF(line)
	if e != nil {
		return nil, e
	}
	return line, nil
}
