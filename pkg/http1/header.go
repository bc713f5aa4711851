package http1

import "strconv"

// Field is one field line: its name as received and its value without the white
// space around it.
type Field struct{ Name, Value string }

// Header is the fields of a message in the order received. Names compare
// without ASCII case. The methods that change something return the changed
// header and leave the receiver as it was.
type Header []Field

// Get returns the value of the first field called name, "" when there is none.
func (h Header) Get(name string) string {
	for i := range h {
		if equalFold(h[i].Name, name) {
			return h[i].Value
		}
	}
	return ""
}

// Values returns the values of all fields called name, in order.
func (h Header) Values(name string) []string {
	var v []string
	for i := range h {
		if equalFold(h[i].Name, name) {
			v = append(v, h[i].Value)
		}
	}
	return v
}

func (h Header) count(name string) (n int) {
	for i := range h {
		if equalFold(h[i].Name, name) {
			n++
		}
	}
	return n
}

// Has reports whether there is a field called name, even an empty one.
func (h Header) Has(name string) bool {
	for i := range h {
		if equalFold(h[i].Name, name) {
			return true
		}
	}
	return false
}

// HasMember reports whether a field called name lists member, as "close" in
// "Connection: keep-alive, close" (RFC 9110 §5.6.1), without ASCII case.
func (h Header) HasMember(name, member string) bool {
	for i := range h {
		if equalFold(h[i].Name, name) && hasList(h[i].Value, member) {
			return true
		}
	}
	return false
}

// Add returns the header with one more field at its end. Like append it may
// use spare room behind the receiver's last field.
func (h Header) Add(name, value string) Header { return append(h, Field{name, value}) }

// Del returns the header without the fields of these names.
func (h Header) Del(names ...string) Header {
	return h.without(func(name string) bool {
		for _, n := range names {
			if equalFold(name, n) {
				return true
			}
		}
		return false
	})
}

// Set returns the header with exactly one field called name, at its end.
func (h Header) Set(name, value string) Header { return h.Del(name).Add(name, value) }

// spare is room for the fields that a caller adds after taking some away.
const spare = 4

// without returns a copy that lacks the fields whose name drop reports, or h
// itself when there are none. The result has no room shared with h.
func (h Header) without(drop func(name string) bool) Header {
	for i := range h {
		if !drop(h[i].Name) {
			continue
		}
		kept := append(make(Header, 0, len(h)+spare), h[:i]...)
		for _, f := range h[i+1:] {
			if !drop(f.Name) {
				kept = append(kept, f)
			}
		}
		return kept
	}
	return h[:len(h):len(h)]
}

// Frame returns the header with the framing fields that a message of this
// length has on the wire, so that what the other side framed by is never passed
// on. length is as in Request.ContentLength and Response.ContentLength: n > 0
// sets Content-Length, -1 sets "Transfer-Encoding: chunked", -2 removes both.
// 0 keeps a Content-Length, which belongs to a POST without content, and says
// in the answer to a HEAD how long a GET's would be.
func (h Header) Frame(length int64) Header {
	h = h.Del("Transfer-Encoding")
	switch {
	case length > 0:
		return h.WithLength(length)
	case length == -1:
		return h.Del("Content-Length").Add("Transfer-Encoding", "chunked")
	case length < 0:
		return h.Del("Content-Length")
	}
	return h
}

// WithLength returns the header with one Content-Length, of n bytes: itself
// where it says so already.
func (h Header) WithLength(n int64) Header {
	var room [20]byte
	digits := strconv.AppendInt(room[:0], n, 10)
	if h.count("Content-Length") == 1 && h.Get("Content-Length") == string(digits) {
		return h
	}
	return h.Set("Content-Length", string(digits))
}
