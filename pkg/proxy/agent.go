package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"bottle/pkg/http1"
)

// agentConn is a connection that the agent made, first in plain text and, after
// a CONNECT, with TLS ended inside it.
type agentConn struct {
	p        *Proxy
	raw      net.Conn // as accepted
	net.Conn          // raw, or the TLS inside it
	br       *bufio.Reader
	bw       *bufio.Writer

	proto string  // of the agent's leg, for the log
	dest  *target // what the CONNECT named; nil before one
	sni   string  // what the ClientHello named
	idle  atomic.Bool
}

// bufSize is what one connection reads ahead: most heads, and a TLS record.
const bufSize = 16 << 10

func newAgentConn(p *Proxy, c net.Conn) *agentConn {
	return &agentConn{
		p: p, raw: c, Conn: c, proto: "http/1.1",
		br: bufio.NewReaderSize(c, 4<<10),
		bw: bufio.NewWriterSize(c, 4<<10),
	}
}

// Close cuts the connection. Any goroutine may call it.
func (a *agentConn) Close() error { return a.raw.Close() }

// finish ends the connection in due form, which in TLS is a last alert. A peer
// that does not read must not hold it: tls.Conn.Close waits five seconds.
func (a *agentConn) finish() {
	a.raw.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	a.Conn.Close()
	a.raw.Close()
}

// serve reads requests until the connection ends or a CONNECT takes it over.
func (a *agentConn) serve() {
	for a.await() {
		req, ok := a.readRequest()
		if !ok {
			return
		}
		if req.Method == "CONNECT" && a.dest == nil {
			a.connect(req)
			return
		}
		if !a.exchange1(req) {
			return
		}
	}
}

// await waits for the first byte of a request. It is false when there will be
// none.
func (a *agentConn) await() bool {
	if a.br.Buffered() == 0 {
		a.SetReadDeadline(time.Now().Add(a.p.Limits.Idle))
		a.idle.Store(true)
		if a.p.drain.on.Load() {
			return false
		}
		_, err := a.br.Peek(1)
		a.idle.Store(false)
		if err != nil {
			return false
		}
	}
	return !a.p.drain.on.Load()
}

// readRequest reads a request's head. What is no acceptable HTTP is answered
// with its status, logged, and the connection is over: nobody can tell where
// the next request would begin (RFC 9112 §9.6).
func (a *agentConn) readRequest() (*http1.Request, bool) {
	a.SetReadDeadline(time.Now().Add(a.p.Limits.HeadTime))
	req, err := http1.ReadRequest(a.br, a.p.Limits.Head)
	if err == nil {
		a.SetReadDeadline(time.Time{})
		return req, true
	}
	var bad *http1.Error
	var slow net.Error
	switch {
	case errors.As(err, &bad):
		a.refuseHead(bad.Status, bad.Msg)
	case errors.As(err, &slow) && slow.Timeout():
		a.refuseHead(408, "the head of the request did not come in time")
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.refuseHead(400, "the connection ended within the head of a request")
	}
	return nil, false
}

// refuseHead answers a request that could not be read, and lingers so that the
// answer is not lost to a reset.
func (a *agentConn) refuseHead(status int, why string) {
	x := a.p.newExchange(a.proto)
	x.dest, x.close = a.destOrNone(), true
	x.reply = &reply1{a: a, x: x}
	x.fault(status, codeBadRequest, "not an acceptable HTTP request: "+why)
	x.log()
	a.linger()
}

func (a *agentConn) destOrNone() target {
	if a.dest != nil {
		return *a.dest
	}
	return target{}
}

// linger gives the agent's last bytes a moment to arrive before the connection
// is closed: closing with unread bytes makes the kernel send a reset, which
// can destroy the answer on its way (RFC 9112 §9.6).
func (a *agentConn) linger() {
	a.bw.Flush()
	if c, ok := a.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	a.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, a.br, 64<<20)
}
