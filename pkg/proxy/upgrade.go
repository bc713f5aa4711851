package proxy

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"

	"bottle/pkg/http1"
)

// wantsWebSocket reports whether the request is a valid WebSocket handshake, in
// HTTP/1.1 (RFC 6455 §4.1) or HTTP/2 (RFC 8441 §5). Any other Upgrade is dropped
// with the hop-by-hop fields.
func (x *exchange) wantsWebSocket() bool {
	h := x.header
	if x.ws != nil {
		return len(h.Values("Sec-WebSocket-Version")) == 1 && h.Get("Sec-WebSocket-Version") == "13"
	}
	r, http11 := x.reply.(*reply1)
	http11 = http11 && r.minor > 0
	return http11 && x.method == "GET" && x.length == 0 &&
		h.HasMember("Connection", "upgrade") &&
		len(h.Values("Upgrade")) == 1 && lower(h.Get("Upgrade")) == "websocket" &&
		len(h.Values("Sec-WebSocket-Key")) == 1 &&
		len(h.Values("Sec-WebSocket-Version")) == 1 && h.Get("Sec-WebSocket-Version") == "13"
}

// webSocketHeader is the head as it leaves in HTTP/1.1, with the upgrade that the
// hop-by-hop rules took out, or that HTTP/2 does without. A key of the proxy's own
// is kept for the answer.
func (x *exchange) webSocketHeader(h http1.Header) http1.Header {
	h = h.Add("Connection", "Upgrade").Add("Upgrade", "websocket")
	if x.ws == nil {
		return h
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	x.wsKey = base64.StdEncoding.EncodeToString(nonce[:])
	return h.Set("Sec-WebSocket-Key", x.wsKey)
}

// acceptKey is the answer to a key (RFC 6455 §4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var errUpgrade = errors.New("a switch of protocols that was not asked for")

// upgrade hands on the 101 to a WebSocket handshake. Both sides are joined when
// nobody else reads the agent's connection any more.
func (x *exchange) upgrade(up *upConn, resp *http1.Response, ws bool) error {
	if !ws || lower(resp.Header.Get("Upgrade")) != "websocket" || !resp.Header.HasMember("Connection", "upgrade") ||
		x.ws != nil && resp.Header.Get("Sec-WebSocket-Accept") != acceptKey(x.wsKey) {
		x.upstreamFault(&fault{502, codeUpstream, "host '" + x.dest.host + "' answered with " + errUpgrade.Error()})
		return errUpgrade
	}
	if !x.startAnswer() {
		x.upstreamFault(x.wasCut())
		return errUpgrade
	}
	h := x.fromOrigin(resp.Header)
	if x.ws != nil {
		return x.upgrade2(h.Del("Sec-WebSocket-Accept"))
	}
	h = h.Add("Connection", "Upgrade").Add("Upgrade", "websocket")
	return x.switched(x.reply.head(101, x.scrubText(resp.Reason), h, 0))
}

// upgrade2 hands on a yes to the handshake of an agent that speaks HTTP/2.
func (x *exchange) upgrade2(h http1.Header) error {
	return x.switched(x.reply.head(200, "", x.fromOrigin(h), -1))
}

// switched sends the head of a switch that began so.
func (x *exchange) switched(err error) error {
	if err == nil {
		err = x.reply.flush()
	}
	if err != nil {
		return err
	}
	x.access.first(x.start)
	x.upgraded = true
	return nil
}
