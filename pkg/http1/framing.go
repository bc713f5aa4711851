package http1

import (
	"strconv"
	"strings"
)

// framing collects what the fields of a head say about the message's length and
// the connection, field by field.
type framing struct {
	hosts   int
	length  int64 // of Content-Length, -1 when there is none
	chunked bool
	close   bool
	expect  int  // fields Expect
	cont    bool // one of them is 100-continue
}

// maxOptions bounds what Connection may list in one field. StripHopByHop
// compares every option with every field.
const maxOptions = 64

// note takes up one field. A second framing field is refused even when it says
// the same: RFC 9112 §6.3 lets a recipient choose there.
func (fr *framing) note(f Field) *Error {
	switch len(f.Name) {
	case len("Host"):
		if equalFold(f.Name, "Host") {
			fr.hosts++
		}
	case len("Expect"):
		if equalFold(f.Name, "Expect") {
			fr.expect++
			fr.cont = equalFold(f.Value, "100-continue")
		}
	case len("Connection"):
		if equalFold(f.Name, "Connection") {
			return fr.connection(f.Value)
		}
	case len("Content-Length"):
		if likes(f.Name, "Content-Length") {
			return fr.contentLength(f)
		}
	case len("Transfer-Encoding"):
		if likes(f.Name, "Transfer-Encoding") {
			return fr.transferEncoding(f)
		}
	}
	return nil
}

// likes compares as equalFold does and takes "_" for "-": gateways that turn
// fields into CGI variables (RFC 3875 §4.1.18) do not tell them apart.
func likes(name, want string) bool {
	return equalFold(strings.ReplaceAll(name, "_", "-"), want)
}

func (fr *framing) connection(list string) *Error {
	if strings.Count(list, ",") >= maxOptions {
		return bad("Connection lists more than " + strconv.Itoa(maxOptions) + " options")
	}
	fr.close = fr.close || hasList(list, "close")
	return nil
}

// contentLength reads 1*DIGIT (RFC 9110 §8.6). A leading zero is refused too,
// since some would read an octal number.
func (fr *framing) contentLength(f Field) *Error {
	v := f.Value
	switch {
	case strings.Contains(f.Name, "_"):
		return bad("field " + quote(f.Name) + "; wanted Content-Length")
	case fr.length >= 0:
		return bad("Content-Length is there twice")
	case v == "" || !all(v, digit) || len(v) > 1 && v[0] == '0':
		return bad("Content-Length is not one plain decimal number")
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return bad("Content-Length is too large; wanted less than 2^63")
	}
	fr.length = n
	return nil
}

// transferEncoding accepts the one coding that everyone reads alike.
func (fr *framing) transferEncoding(f Field) *Error {
	switch {
	case strings.Contains(f.Name, "_"):
		return bad("field " + quote(f.Name) + "; wanted Transfer-Encoding")
	case fr.chunked:
		return bad("Transfer-Encoding is there twice")
	case equalFold(f.Value, "chunked"):
		fr.chunked = true
		return nil
	case ValidToken(f.Value): // RFC 9112 §6.1: 501 for a coding not understood
		return &Error{501, "Transfer-Encoding names another coding; wanted chunked alone"}
	}
	return bad("Transfer-Encoding is not one coding; wanted chunked alone")
}

// agree checks the framing fields against one another and the version.
func (fr *framing) agree(minor int) *Error {
	if fr.chunked && fr.length >= 0 {
		return bad("both Content-Length and Transfer-Encoding; wanted one of them")
	}
	if fr.chunked && minor == 0 {
		return bad("Transfer-Encoding on HTTP/1.0, which does not have it")
	}
	return nil
}
