package h2

import (
	"bytes"
	"strconv"
	"strings"

	"bottle/pkg/http1"

	"golang.org/x/net/http2/hpack"
)

// encodeRequest puts a request's HEADERS into the buffer; locked.
func (c *conn) encodeRequest(id uint32, h *Head, flag byte) {
	start := c.beginHead()
	c.index(":method", h.Method)
	if h.Scheme != "" {
		c.index(":scheme", h.Scheme)
	}
	if h.Authority != "" {
		c.index(":authority", h.Authority)
	}
	if h.Path != "" {
		c.literal(pathIndex, h.Path, 0)
	}
	if h.Protocol != "" {
		c.index(":protocol", h.Protocol)
	}
	c.hide = lowerName(h.Secret)
	c.fields(h.Header, true)
	c.hide = ""
	c.endHead(start, id, flag)
}

// encodeAnswer puts an answer's HEADERS into the buffer; locked.
func (c *conn) encodeAnswer(id uint32, status int, h http1.Header, flag byte) {
	start := c.beginHead()
	c.index(":status", statusText(status))
	c.fields(h, true)
	c.endHead(start, id, flag)
}

func statusText(status int) string {
	if status == 200 {
		return "200"
	}
	return strconv.Itoa(status)
}

func (c *conn) encodeTooLong(id uint32) {
	c.encodeAnswer(id, 431, http1.Header{{Name: "content-length", Value: "0"}}, flagEndStream)
}

// encodeTrailer puts a trailer section into the buffer; locked.
func (c *conn) encodeTrailer(id uint32, h http1.Header) {
	start := c.beginHead()
	c.fields(h, false)
	c.endHead(start, id, 0)
}

// beginHead leaves room for the frame's header.
func (c *conn) beginHead() int {
	c.out.need()
	start := len(c.out.b)
	c.out.b = append(c.out.b, make([]byte, frameHead)...)
	return start
}

// endHead fills the frame's header in. A long block is cut into CONTINUATIONs.
func (c *conn) endHead(start int, id uint32, flag byte) {
	b := c.out.b
	n := len(b) - start - frameHead
	if n <= maxFrame {
		appendFrame(b[start:start], n, typeHeaders, flag|flagEndHeaders, id)
		return
	}
	block := bytes.Clone(b[start+frameHead:])
	b = b[:start]
	for typ := byte(typeHeaders); len(block) > 0; typ, flag = typeContinuation, 0 {
		n := min(len(block), maxFrame)
		if n == len(block) {
			flag |= flagEndHeaders
		}
		b = append(appendFrame(b, n, typ, flag, id), block[:n]...)
		block = block[n:]
	}
	c.out.b = b
}

// fields encodes regular fields. Those that belong to an HTTP/1.1 connection
// (RFC 9113 §8.2.2) and those that are not valid are left out. short says that
// the block has begun with a field of the encoder's: a change of the table's
// size must come first, and only the encoder tells it.
func (c *conn) fields(h http1.Header, short bool) {
	for _, f := range h {
		name := lowerName(f.Name)
		if name == "" || !http1.ValidFieldValue(f.Value) || connectionField(name, f.Value) {
			continue
		}
		if name == c.hide {
			c.hp.WriteField(hpack.HeaderField{Name: name, Value: f.Value, Sensitive: true})
			continue
		}
		if i := unindexed[name]; i != 0 && short {
			c.literal(i&^secret, f.Value, i&secret>>3)
			continue
		}
		c.hp.WriteField(hpack.HeaderField{Name: name, Value: f.Value, Sensitive: unindexed[name]&secret != 0})
	}
}

func connectionField(name, value string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "host":
		return true
	case "te":
		return value != "trailers"
	}
	return false
}

func (c *conn) index(name, value string) {
	c.hp.WriteField(hpack.HeaderField{Name: name, Value: value})
}

// secret marks a field that no table on the way may keep (RFC 7541 §7.1.3). As
// the byte that begins a literal it is 0x10.
const secret = 0x80

const pathIndex = 4

// unindexed are fields whose values hardly ever come again, by their number in
// the static table (RFC 7541 appendix A): in the dynamic table they would push
// out what does come again, at the cost of four changes of maps each.
var unindexed = map[string]byte{
	"age": 21, "authorization": 23 | secret, "content-length": 28, "content-range": 30, "cookie": 32 | secret,
	"date": 33, "etag": 34, "expires": 36, "if-modified-since": 40, "if-none-match": 41, "last-modified": 44,
	"location": 46, "proxy-authorization": 49 | secret, "range": 50, "referer": 51, "set-cookie": 55 | secret,
}

// literal encodes a field without indexing (RFC 7541 §6.2.2, §6.2.3) by the
// number of its name.
func (c *conn) literal(name byte, value string, kind byte) {
	b := c.out.b
	if name < 15 {
		b = append(b, kind|name)
	} else {
		b = append(b, kind|15, name-15)
	}
	b = appendVarInt7(b, len(value))
	c.out.b = append(b, value...)
}

// appendVarInt7 is an integer with a prefix of 7 bits (RFC 7541 §5.1); the bit
// before it says that the string is not Huffman-coded, which costs some bytes and
// spares both sides more time.
func appendVarInt7(dst []byte, n int) []byte {
	if n < 127 {
		return append(dst, byte(n))
	}
	dst = append(dst, 127)
	for n -= 127; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// lowerName is a field's name in lower case, "" when it is no token.
func lowerName(name string) string {
	if lowerToken(name) {
		return name
	}
	if l, ok := lowerNames[name]; ok {
		return l
	}
	if !http1.ValidToken(name) {
		return ""
	}
	return strings.ToLower(name) // a token is ASCII
}

// lowerNames spares the usual names an allocation.
var lowerNames = func() map[string]string {
	m := make(map[string]string)
	for _, n := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Age", "Allow", "Alt-Svc",
		"Authorization", "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Content-Length", "Content-Location", "Content-Range", "Content-Security-Policy", "Content-Type",
		"Cookie", "Date", "ETag", "Etag", "Expect", "Expires", "Grpc-Status", "Grpc-Message", "Host", "If-Match",
		"If-Modified-Since", "If-None-Match", "If-Range", "Keep-Alive", "Last-Modified", "Link", "Location", "Origin",
		"Pragma", "Range", "Referer", "Referrer-Policy", "Retry-After", "Server", "Set-Cookie",
		"Strict-Transport-Security", "Te", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via",
		"WWW-Authenticate", "X-Content-Type-Options", "X-Egress-Proxy-Reason", "X-Frame-Options", "X-Request-Id",
		"X-Request-ID", "X-Xss-Protection", "X-XSS-Protection",
	} {
		m[n] = strings.ToLower(n)
	}
	return m
}()
