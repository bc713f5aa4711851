package h2

import (
	"strconv"
	"strings"

	"bottle/pkg/http1"

	"golang.org/x/net/http2/hpack"
)

// pseudo are the pseudo-fields that were there, as bits.
type pseudo uint8

const (
	pMethod pseudo = 1 << iota
	pScheme
	pAuthority
	pPath
	pProtocol
	pStatus
)

// fieldBlock collects what the decoder gives, and the first thing that is wrong
// with it. It is used again for each block.
type fieldBlock struct {
	Head
	seen   pseudo
	bytes  int // of names and values, and four for each field
	fields int // without crumbs of cookies
	crumbs int // cookie fields
	length int64
	long   bool // over the limits; what is beyond them was dropped
	fault  *StreamError
	lim    http1.Limits
}

func (in *fieldBlock) begin(cfg Config) {
	in.length, in.lim = -1, http1.Limits{HeadBytes: cfg.HeadBytes, Fields: cfg.Fields}
}

// end keeps nothing of the block but the room for the next: an idle connection
// would hold on to all its strings.
func (in *fieldBlock) end() {
	h := in.Header[:0]
	clear(in.Header)
	if cap(h) > 32 {
		h = nil
	}
	*in = fieldBlock{}
	in.Header = h
}

func (in *fieldBlock) wrong(why string) {
	if in.fault == nil {
		in.fault = malformed(why)
	}
}

// field takes one field from the decoder.
func (c *conn) field(f hpack.HeaderField) {
	in := &c.in
	in.bytes += len(f.Name) + len(f.Value) + 4
	if in.bytes > in.lim.HeadBytes || in.fields > in.lim.Fields {
		in.long = true
		c.dec.SetEmitEnabled(false)
		return
	}
	switch {
	case in.fault != nil:
	case !http1.ValidFieldValue(f.Value):
		in.wrong("a field's value holds a control byte or outer white space")
	case f.IsPseudo():
		in.pseudo(f)
	default:
		in.regular(f)
	}
}

// pseudo takes a pseudo-field (RFC 9113 §8.3).
func (in *fieldBlock) pseudo(f hpack.HeaderField) {
	bit, at := in.slot(f.Name)
	switch {
	case at == nil && bit == 0:
		in.wrong("an unknown pseudo-field")
		return
	case len(in.Header) > 0:
		in.wrong("a pseudo-field after other fields")
	case in.seen&bit != 0:
		in.wrong("a pseudo-field is there twice")
	}
	in.seen |= bit
	if at != nil {
		*at = f.Value
		return
	}
	if in.Status = status(f.Value); in.Status == 0 {
		in.wrong("a :status that is not three digits")
	}
}

func (in *fieldBlock) slot(name string) (pseudo, *string) {
	switch name {
	case ":method":
		return pMethod, &in.Method
	case ":scheme":
		return pScheme, &in.Scheme
	case ":authority":
		return pAuthority, &in.Authority
	case ":path":
		return pPath, &in.Path
	case ":protocol":
		return pProtocol, &in.Protocol
	case ":status":
		return pStatus, nil
	}
	return 0, nil
}

// status is the number in s, or 0.
func status(s string) int {
	if len(s) != 3 || s[0] < '1' || !digits(s) {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// regular takes a field that is none of the pseudo-fields (RFC 9113 §8.2).
func (in *fieldBlock) regular(f hpack.HeaderField) {
	if !lowerToken(f.Name) {
		in.wrong("a field's name is not a token in lower case")
		return
	}
	switch f.Name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		in.wrong("a field that belongs to an HTTP/1.1 connection")
	case "te":
		if f.Value != "trailers" {
			in.wrong("TE other than trailers")
		}
	case "content-length":
		in.contentLength(f.Value)
	case "cookie":
		in.crumbs++
	}
	if f.Name != "cookie" || in.crumbs == 1 {
		in.fields++
	}
	in.Header = append(in.Header, http1.Field{Name: f.Name, Value: f.Value})
}

// contentLength reads 1*DIGIT (RFC 9110 §8.6), once and without a leading zero,
// as http1 does.
func (in *fieldBlock) contentLength(v string) {
	if in.length >= 0 {
		in.wrong("Content-Length is there twice")
		return
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || !digits(v) || len(v) > 1 && v[0] == '0' {
		in.wrong("Content-Length is not one plain decimal number below 2^63")
		return
	}
	in.length = n
}

// take is the fields as a list of their own, with room for a few more.
func (in *fieldBlock) take() http1.Header {
	h := make(http1.Header, 0, len(in.Header)+4)
	if in.crumbs < 2 {
		return append(h, in.Header...)
	}
	crumbs := make([]string, 0, in.crumbs)
	at := -1
	for _, f := range in.Header {
		if f.Name != "cookie" {
			h = append(h, f)
			continue
		}
		if at < 0 {
			at = len(h)
			h = append(h, f)
		}
		crumbs = append(crumbs, f.Value)
	}
	h[at].Value = strings.Join(crumbs, "; ") // RFC 9113 §8.2.3
	return h
}

// tooLong reports a head over the limits.
func (in *fieldBlock) tooLong() bool { return in.long || in.fields > in.lim.Fields }

// request judges the pseudo-fields of a request (RFC 9113 §8.3.1, §8.5, RFC 8441
// §4).
func (in *fieldBlock) request(extended bool) *StreamError {
	connect := in.Method == "CONNECT"
	const target = pScheme | pPath
	switch {
	case in.fault != nil:
	case in.seen&pStatus != 0:
		in.wrong(":status in a request")
	case in.seen&pMethod == 0 || !http1.ValidToken(in.Method):
		in.wrong("no :method, or one that is not a token")
	case in.seen&pProtocol != 0 && (!extended || !connect || !http1.ValidToken(in.Protocol)):
		in.wrong(":protocol where no extended CONNECT is")
	case connect && in.seen&pProtocol == 0:
		if in.seen&target != 0 || in.Authority == "" {
			in.wrong("a CONNECT with :scheme or :path, or without :authority")
		}
	case in.seen&target != target:
		in.wrong("no :scheme or no :path")
	case !http1.ValidTarget(in.Path):
		in.wrong("a :path that is empty or not visible ASCII alone")
	case !http1.ValidTarget(in.Scheme):
		in.wrong("a :scheme that is empty or not visible ASCII alone")
	}
	if in.Authority != "" && !http1.ValidTarget(in.Authority) {
		in.wrong("an :authority that is not visible ASCII alone")
	}
	return in.fault
}

// response judges the pseudo-fields of an answer (RFC 9113 §8.3.2, §8.6).
func (in *fieldBlock) response() *StreamError {
	if in.fault == nil && in.seen != pStatus {
		in.wrong("an answer with other pseudo-fields than one :status")
	}
	if in.Status == 101 {
		in.wrong("101, which HTTP/2 does not have")
	}
	return in.fault
}

// trailer judges a trailer section (RFC 9113 §8.1).
func (in *fieldBlock) trailer() *StreamError {
	if in.seen != 0 {
		in.wrong("a pseudo-field in a trailer section")
	}
	return in.fault
}

// takeTrailer is take without the fields that whoever merges a trailer section
// into the head would be deceived by (RFC 9110 §6.5.1).
func (in *fieldBlock) takeTrailer() http1.Header {
	var h http1.Header
	for _, f := range in.Header {
		if !http1.ForbiddenTrailer(f.Name) {
			h = append(h, f)
		}
	}
	return h
}

// lowerToken reports whether s is a token without upper-case letters.
func lowerToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return false
		}
	}
	return http1.ValidToken(s)
}
