package http1

import "strconv"

// AppendRequest adds a request's head to dst: "METHOD target HTTP/1.1", the
// fields of h in order, and the empty line. method and target must be valid, as
// ReadRequest's are and Check tells. A field that is not valid is left out, so
// that no value can begin a line of its own.
func AppendRequest(dst []byte, method, target string, h Header) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	return append(appendFields(dst, h), "\r\n"...)
}

// AppendResponse adds an answer's head to dst, as AppendRequest does. status is
// 100 to 999; a reason with control bytes is left empty.
func AppendResponse(dst []byte, status int, reason string, h Header) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ') // there even without a reason (RFC 9112 §4)
	if all(reason, vtext) {
		dst = append(dst, reason...)
	}
	dst = append(dst, "\r\n"...)
	return append(appendFields(dst, h), "\r\n"...)
}

func appendFields(dst []byte, h Header) []byte {
	for _, f := range h {
		if !ValidToken(f.Name) || !all(f.Value, vtext) {
			continue
		}
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// Check tells whether a request that came another way can be sent by
// AppendRequest and read back the same: a valid method, target, names and
// values, one Host, framing fields that agree. The error is an *Error.
func Check(method, target string, h Header) error {
	fr, e := check(method, target, h)
	if e == nil && fr.hosts != 1 {
		e = bad("Host is there " + strconv.Itoa(fr.hosts) + " times; wanted it once")
	}
	if e != nil {
		return e
	}
	return nil
}

// CheckWithAuthority is Check for a request whose authority stands apart, as in
// HTTP/2: a Host beside it may be there, once.
func CheckWithAuthority(method, target string, h Header) error {
	fr, e := check(method, target, h)
	if e == nil && fr.hosts > 1 {
		e = bad("Host is there " + strconv.Itoa(fr.hosts) + " times beside the authority; wanted it once at most")
	}
	if e != nil {
		return e
	}
	return nil
}

func check(method, target string, h Header) (framing, *Error) {
	fr := framing{length: -1}
	if !ValidToken(method) {
		return fr, bad("the method is not a token (RFC 9110 §5.6.2)")
	}
	if !ValidTarget(target) {
		return fr, bad("the target is not visible ASCII alone")
	}
	for _, f := range h {
		if !ValidToken(f.Name) {
			return fr, bad("a field's name is not a token (RFC 9110 §5.6.2)")
		}
		if !ValidFieldValue(f.Value) {
			return fr, bad("the value of field " + quote(f.Name) + " holds a control byte or outer white space")
		}
		if e := fr.note(f); e != nil {
			return fr, e
		}
	}
	if fr.expect > 1 || fr.expect == 1 && !fr.cont {
		return fr, &Error{417, "an Expect other than one 100-continue"}
	}
	return fr, fr.agree(1)
}
