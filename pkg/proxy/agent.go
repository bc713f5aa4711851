package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// agentConn is a connection that the agent made, first in plain text and, after
// a CONNECT, with TLS ended inside it.
type agentConn struct {
	p        *Proxy
	sock     *socket // as accepted
	net.Conn         // sock, or the TLS inside it
	in       source
	br       *bufio.Reader // nil while the connection dozes
	bw       *bufio.Writer
	release  func() // gives the connection's slot back

	proto  string    // of the agent's leg, for the log
	dest   *target   // what the CONNECT named; nil before one
	sniErr error     // the ClientHello named another host
	due    time.Time // the deadline of reads, where it is known
	idle   atomic.Bool
	h2     atomic.Pointer[h2.ServerConn] // once the agent speaks HTTP/2

	*serving // nil while the connection dozes

	mu   sync.Mutex
	live []*exchange // those that may be cut
}

func newAgentConn(p *Proxy, c net.Conn, release func()) *agentConn {
	a := &agentConn{p: p, sock: newSocket(c), proto: "http/1.1", release: release}
	a.sock.agent = a
	a.use(a.sock)
	return a
}

// use makes c, the socket or the TLS on it, what requests come from.
func (a *agentConn) use(c net.Conn) {
	a.Conn, a.in.Reader = c, c
	a.buffers()
}

func (a *agentConn) buffers() {
	a.br, a.bw = getReader(&a.in), getWriter(a.Conn)
	a.serving = servings.Get().(*serving)
}

// noBuffers gives them back. What was read ahead must have been used.
func (a *agentConn) noBuffers() {
	if a.br != nil {
		putReader(a.br)
		putWriter(a.bw)
		a.serving.drop()
		a.br, a.bw, a.serving = nil, nil, nil
	}
}

// serving is the request that an HTTP/1.1 connection serves, and its exchange.
// The room is used again, by the next request or another connection's.
type serving struct {
	req     http1.Request
	body    http1.Body
	x       exchange
	reply   reply1
	watcher watcher
}

var servings = sync.Pool{New: func() any { return &serving{x: exchange{scratch: getScratch()}} }}

// drop gives s back, with nothing of the requests it served.
func (s *serving) drop() {
	s.x.scratch.clear()
	clear(s.req.Header[:cap(s.req.Header)])
	*s = serving{req: http1.Request{Header: s.req.Header[:0]}, x: exchange{scratch: s.x.scratch}}
	servings.Put(s)
}

// source is a reader with, at times, one byte in front of it.
type source struct {
	io.Reader
	first [1]byte
	has   bool
}

func (s *source) Read(p []byte) (int, error) {
	if s.has && len(p) > 0 {
		p[0], s.has = s.first[0], false
		return 1, nil
	}
	return s.Reader.Read(p)
}

// Close cuts the connection. Any goroutine may call it.
func (a *agentConn) Close() error { return a.sock.Conn.Close() }

// finish ends the connection in due form, which in TLS is a last alert. A peer
// that does not read must not hold it: tls.Conn.Close waits five seconds.
func (a *agentConn) finish() {
	a.sock.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	a.Conn.Close()
	a.Close()
	a.noBuffers()
	a.p.forget(a)
	a.release()
}

// run serves the connection until it ends or dozes.
func (a *agentConn) run() {
	// Each takes over with a stack that is small again.
	switch a.serve() {
	case dozing:
		a.noBuffers()
		go a.doze()
	case inHTTP2:
		go func() {
			a.serve2()
			a.finish()
		}()
	default:
		a.finish()
	}
}

// outcome is how serving a connection went.
type outcome int

const (
	over    outcome = iota
	dozing          // idle for a while; doze takes over
	inHTTP2         // serve2 takes over
)

// serve reads requests until the connection ends, or a CONNECT takes it over,
// or none comes for a while.
func (a *agentConn) serve() outcome {
	for {
		ready, how := a.await()
		if !ready {
			return how
		}
		if !a.readRequest() {
			return over
		}
		if a.req.Method == "CONNECT" && a.dest == nil {
			return a.connect()
		}
		if !a.exchange1() {
			return over
		}
	}
}

// dozeAfter is how long an idle connection keeps its buffers.
const dozeAfter = 100 * time.Millisecond

// await waits for the first byte of a request. Without one how tells what
// becomes of the connection.
func (a *agentConn) await() (ready bool, how outcome) {
	if a.br.Buffered() == 0 {
		// The deadline is moved at most twice a second: it costs a timer.
		now, soon := time.Now(), min(dozeAfter, a.p.Limits.Idle)
		if left := a.due.Sub(now); left > soon || left < soon*3/4 {
			a.setDue(now.Add(soon))
		}
		a.idle.Store(true)
		if a.p.drain.Load() {
			return false, over
		}
		_, err := a.br.Peek(1)
		a.idle.Store(false)
		if err != nil {
			a.due = time.Time{}
			if timedOut(err) && a.p.Limits.Idle > dozeAfter {
				return false, dozing
			}
			return false, over
		}
	}
	return !a.p.drain.Load(), over
}

func (a *agentConn) setDue(t time.Time) {
	a.due = t
	a.SetReadDeadline(t)
}

// doze waits for the first byte with nothing but that byte's room.
func (a *agentConn) doze() {
	a.setDue(time.Now().Add(a.p.Limits.Idle - dozeAfter))
	a.idle.Store(true)
	n := 0
	if !a.p.drain.Load() {
		n, _ = a.Conn.Read(a.in.first[:])
	}
	a.idle.Store(false)
	a.due = time.Time{}
	if n == 0 {
		a.finish()
		return
	}
	a.in.has = true
	a.buffers()
	a.run()
}

// readRequest reads a request's head into a.req. What is no acceptable HTTP is
// answered with its status, logged, and the connection is over: nobody can tell
// where the next request would begin (RFC 9112 §9.6).
func (a *agentConn) readRequest() bool {
	if b, _ := a.br.Peek(a.br.Buffered()); !bytes.Contains(b, endOfHead) {
		a.setDue(time.Now().Add(a.p.Limits.HeadTime))
		defer func() { a.due = time.Time{} }() // it is not one for await
	}
	err := a.req.Read(a.br, a.p.Limits.Head)
	var bad *http1.Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &bad):
		a.refuseHead(bad.Status, bad.Msg)
	case timedOut(err):
		a.refuseHead(408, "the head of the request did not come in time")
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.refuseHead(400, "the connection ended within the head of a request")
	}
	return false
}

var endOfHead = []byte("\r\n\r\n")

// refuseHead answers a request that could not be read, and lingers so that the
// answer is not lost to a reset.
func (a *agentConn) refuseHead(status int, why string) {
	x := a.newExchange()
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

// enter makes x one of those that may be cut.
func (a *agentConn) enter(x *exchange) {
	a.mu.Lock()
	x.at = len(a.live)
	a.live = append(a.live, x)
	a.mu.Unlock()
}

// leave is the end of that.
func (a *agentConn) leave(x *exchange) {
	a.mu.Lock()
	last := len(a.live) - 1
	a.live[x.at] = a.live[last]
	a.live[x.at].at = x.at
	a.live[last] = nil
	a.live = a.live[:last]
	a.mu.Unlock()
}

// each calls do for the exchanges that may be cut. None of them ends meanwhile.
func (a *agentConn) each(do func(*exchange)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.live {
		do(x)
	}
}
