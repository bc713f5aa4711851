package http1

import (
	"bufio"
	"io"
	"strconv"
)

// ChunkedWriter frames content as chunks (RFC 9112 §7.1), one for each Write.
// It never flushes: the caller does, where a stream's reader waits and after
// Close.
type ChunkedWriter struct{ w *bufio.Writer }

// NewChunkedWriter returns a ChunkedWriter on w, behind a head that says
// "Transfer-Encoding: chunked".
func NewChunkedWriter(w *bufio.Writer) *ChunkedWriter { return &ChunkedWriter{w} }

// Write writes p as one chunk. An empty p writes nothing, since a chunk of no
// bytes would end the content.
func (c *ChunkedWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.w.Write(append(strconv.AppendInt(c.w.AvailableBuffer(), int64(len(p)), 16), "\r\n"...))
	n, err := c.w.Write(p)
	if err != nil {
		return n, err
	}
	_, err = io.WriteString(c.w, "\r\n")
	return n, err
}

// Close ends the content with the fields of trailer, without those that a
// trailer section may not carry or that are not valid. Without Close the reader
// sees a cut message, which is what it must see after an error.
func (c *ChunkedWriter) Close(trailer Header) error {
	kept := trailer.without(ForbiddenTrailer)
	buf := append(c.w.AvailableBuffer(), "0\r\n"...)
	buf = append(appendFields(buf, kept), "\r\n"...)
	_, err := c.w.Write(buf)
	return err
}
