package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

// A message is a Request or a Response, whose heads differ in the start line.
type message interface {
	begins(c byte) *Error     // judges the first byte
	line(line string) *Error  // reads the start line
	tooLong(lines int) *Error // the head is over the limit, after so many lines
}

// readHead takes a message's head off br, up to and with its empty line, as one
// string that all its parts are cut from. The first byte and the start line are
// judged as soon as they are there, so that a peer that speaks something else
// and waits is answered at once.
func readHead(br *bufio.Reader, lim Limits, m message) (string, error) {
	c, err := br.Peek(1)
	if err != nil {
		return "", err
	}
	if e := m.begins(c[0]); e != nil {
		return "", e
	}
	buf, _ := br.Peek(br.Buffered())
	if i := bytes.Index(buf, crlf2); i >= 0 && i+4 <= lim.HeadBytes {
		head := string(buf[:i+4])
		br.Discard(i + 4)
		return head, nil
	}
	return readLongHead(br, lim, m)
}

var crlf2 = []byte("\r\n\r\n")

// readLongHead is readHead for a head that is not all in the buffer.
func readLongHead(br *bufio.Reader, lim Limits, m message) (string, error) {
	var head []byte
	for lines := 0; ; lines++ {
		start := len(head)
		var err error
		if head, err = appendLine(head, br, lim.HeadBytes); err != nil {
			if err == errLong {
				return "", m.tooLong(lines)
			}
			return "", cut(err)
		}
		line, e := chopCRLF(head[start:])
		if e == nil && lines == 0 {
			e = m.line(string(line))
		}
		if e != nil {
			return "", e
		}
		if len(line) == 0 {
			return string(head), nil
		}
	}
}

var errLong = errors.New("http1: line too long")

// appendLine adds the next line, up to and with its LF, to dst. errLong says
// that dst would grow over max bytes.
func appendLine(dst []byte, br *bufio.Reader, max int) ([]byte, error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(dst)+len(part) > max {
			return dst, errLong
		}
		dst = append(dst, part...)
		if err != bufio.ErrBufferFull {
			return dst, err
		}
	}
}

// cut names the end of the stream inside a message; other errors, time-outs
// among them, stay what they are.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// chopCRLF takes the line end off line, which ends with LF.
func chopCRLF[T string | []byte](line T) (T, *Error) {
	n := len(line)
	if n < 2 || line[n-2] != '\r' {
		return line, bad("a line ends with a bare LF; wanted CRLF")
	}
	return line[:n-2], nil
}

// nextLine splits the first line off head, which ends with an empty line.
func nextLine(head string) (line, rest string, e *Error) {
	i := strings.IndexByte(head, '\n')
	line, e = chopCRLF(head[:i+1])
	return line, head[i+1:], e
}

// parseFields reads the field lines of head up to its empty line into h, and
// takes up in fr what they say of the framing.
func parseFields(h Header, head string, max int, fr *framing) (Header, *Error) {
	n := strings.Count(head, "\n") - 1
	if n > max {
		return nil, &Error{431, "more than " + strconv.Itoa(max) + " fields in the head"}
	}
	if cap(h) < n+spare {
		h = make(Header, 0, n+spare)
	}
	for {
		line, rest, e := nextLine(head)
		if e != nil {
			return nil, e
		}
		if line == "" {
			return h, nil
		}
		f, e := parseField(line)
		if e == nil {
			e = fr.note(f)
		}
		if e != nil {
			return nil, e
		}
		h, head = append(h, f), rest
	}
}

// parseField reads one field line (RFC 9112 §5) without its line end.
func parseField(line string) (Field, *Error) {
	colon := strings.IndexByte(line, ':')
	switch {
	case line[0] == ' ' || line[0] == '\t':
		return Field{}, bad("a folded field line; wanted each field on one line")
	case colon < 0:
		return Field{}, bad("a field line without a colon; wanted name: value")
	case colon == 0:
		return Field{}, bad("a field without a name; wanted name: value")
	case line[colon-1] == ' ' || line[colon-1] == '\t':
		return Field{}, bad("white space between a field's name and its colon")
	case !ValidToken(line[:colon]):
		return Field{}, bad("a field's name is not a token (RFC 9110 §5.6.2)")
	}
	f := Field{line[:colon], trimOWS(line[colon+1:])}
	if !all(f.Value, vtext) {
		return Field{}, bad("the value of field " + quote(f.Name) + " holds a control byte")
	}
	return f, nil
}

// quote shows the name of a field, a token, in a message. Nothing else that a
// peer sent is ever shown: an origin could put back a credential that the agent
// must not see.
func quote(name string) string {
	if len(name) > 60 {
		return name[:60] + "..."
	}
	return name
}
