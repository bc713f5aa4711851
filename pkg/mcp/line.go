package mcp

import (
	"bufio"
	"bytes"
	"io"
)

// read takes the lines of r until its end, which is a nil error.
func (c *conversation) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, long, err := readLine(br, MaxLine)
		switch {
		case long:
			c.sendError(nil, errorf(codeInvalidRequest, "line longer than %d bytes", MaxLine))
		case len(bytes.TrimSpace(line)) > 0:
			c.take(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c.ctx.Err() != nil {
			return nil
		}
	}
}

// readLine returns the next line without its newline, in memory of its own. Of
// a line longer than limit nothing is kept: it is read to its end and long is
// true. A last line without newline comes together with the error.
func readLine(br *bufio.Reader, limit int) (line []byte, long bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(bytes.TrimSuffix(line, []byte{'\n'})) > limit {
			line, long = nil, true
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(line, []byte{'\n'}), long, err
		}
	}
}
