package proxy

import (
	"errors"
	"io"
	"net"
	"time"

	"bottle/pkg/http1"
)

// wantsWebSocket reports whether the request is a valid WebSocket handshake
// (RFC 6455 §4.1). Any other Upgrade is dropped with the hop-by-hop fields.
func (x *exchange) wantsWebSocket() bool {
	_, http11 := x.reply.(*reply1)
	h := x.header
	return http11 && x.method == "GET" && x.length == 0 &&
		h.HasMember("Connection", "upgrade") &&
		len(h.Values("Upgrade")) == 1 && lower(h.Get("Upgrade")) == "websocket" &&
		len(h.Values("Sec-WebSocket-Key")) == 1 &&
		len(h.Values("Sec-WebSocket-Version")) == 1 && h.Get("Sec-WebSocket-Version") == "13"
}

// webSocketHeader is the head as it leaves, with the upgrade that the hop-by-hop
// rules took out.
func webSocketHeader(h, agent http1.Header) http1.Header {
	return h.Add("Connection", "Upgrade").Add("Upgrade", agent.Get("Upgrade"))
}

var errUpgrade = errors.New("a switch of protocols that was not asked for")

// upgrade hands on the 101 to a WebSocket handshake. Both sides are joined when
// nobody else reads the agent's connection any more.
func (x *exchange) upgrade(up *upConn, resp *http1.Response, ws bool) error {
	r, ok := x.reply.(*reply1)
	if !ws || !ok || lower(resp.Header.Get("Upgrade")) != "websocket" || !resp.Header.HasMember("Connection", "upgrade") {
		x.upstreamFault(&fault{502, codeUpstream, "host '" + x.dest.host + "' answered with " + errUpgrade.Error()})
		return errUpgrade
	}
	h := x.fromOrigin(resp.Header).Add("Connection", "Upgrade").Add("Upgrade", "websocket")
	if !x.startAnswer() {
		x.upstreamFault(x.wasCut())
		return errUpgrade
	}
	if err := r.head(101, x.scrubText(resp.Reason), h, 0); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	x.access.first(x.start)
	x.upgraded = true
	return nil
}

// join copies both ways until one side ends. There is no limit on how long
// either may be silent.
func (x *exchange) join(a *agentConn, up *upConn) {
	a.SetDeadline(time.Time{})
	up.SetDeadline(time.Time{})
	done := make(chan struct{}, 2)
	go func() {
		n, _ := io.Copy(up.Conn, a.br)
		x.sent.Add(n)
		halfClose(up.Conn)
		done <- struct{}{}
	}()
	go func() {
		n, _ := io.Copy(a.Conn, up.br)
		x.received.Add(n)
		halfClose(a.Conn)
		done <- struct{}{}
	}()
	<-done
	// One side has ended; the other's last bytes get a moment, no more: who has
	// left does not come back.
	late := time.Now().Add(lastBytes)
	a.SetDeadline(late)
	up.SetDeadline(late)
	<-done
}

// lastBytes is how long a joined connection outlives its first end.
const lastBytes = 5 * time.Second

// halfClose says that no more will come; a peer that goes on is heard.
func halfClose(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
		return
	}
	c.Close()
}
