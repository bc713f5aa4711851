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
	head   time.Time // the deadline of a head that comes slowly
	idle   atomic.Bool
	h2     atomic.Pointer[h2.ServerConn] // once the agent speaks HTTP/2

	*serving // nil while the connection dozes

	mu   sync.Mutex
	live []*exchange // those that may be cut
}

func newAgentConn(p *Proxy, c net.Conn, release func()) *agentConn {
	a := &agentConn{p: p, sock: newSocket(c), proto: "http/1.1", release: release}
	a.sock.agent = a
	a.Conn, a.in.Reader = a.sock, a.sock
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

// source is a reader with, at times, some bytes in front of it.
type source struct {
	io.Reader
	ahead []byte
	next  [64]byte // of wait
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.ahead) == 0 {
		return s.Reader.Read(p)
	}
	n := copy(p, s.ahead)
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		s.ahead = nil
	}
	return n, nil
}

// wait reads a few bytes, with little room.
func (s *source) wait() error {
	n, err := s.Reader.Read(s.next[:])
	if n > 0 {
		s.ahead = append(s.ahead, s.next[:n]...)
		return nil
	}
	return err
}

// Close cuts the connection. Any goroutine may call it.
func (a *agentConn) Close() error { return a.sock.Conn.Close() }

// finish ends the connection in due form, which in TLS is a last alert. A peer
// that does not read must not hold it: tls.Conn.Close waits five seconds.
func (a *agentConn) finish() {
	a.sock.hurry(100 * time.Millisecond)
	a.Conn.Close()
	a.Close()
	a.noBuffers()
	a.p.forget(a)
	a.release()
}

// outcome is how serving a connection went.
type outcome int

const (
	over     outcome = iota
	dozing           // nothing came for a while
	inTunnel         // a CONNECT was accepted
	inHTTP2          // so was HTTP/2 inside
)

// proceed goes on after serve. Who takes over does so on a goroutine of its own,
// with a stack that is small again.
func (a *agentConn) proceed(how outcome) {
	switch how {
	case dozing:
		a.noBuffers()
		go a.doze()
	case inTunnel:
		go a.tunnel()
	case inHTTP2:
		go func() {
			a.serve2()
			a.finish()
		}()
	default:
		a.finish()
	}
}

// serve reads requests until the connection ends, or a CONNECT takes it over,
// or nothing comes for a while.
func (a *agentConn) serve() outcome {
	for {
		if ready, how := a.await(); !ready {
			return how
		}
		if ready, how := a.readRequest(); !ready {
			return how
		}
		if a.req.Method == "CONNECT" && a.dest == nil {
			return a.connect()
		}
		if !a.exchange1() {
			return over
		}
	}
}

// dozeAfter is how long a connection on which nothing comes keeps its buffers.
const dozeAfter = 400 * time.Millisecond

// await waits for the first byte of a request. Without one how tells what
// becomes of the connection.
func (a *agentConn) await() (ready bool, how outcome) {
	if a.br.Buffered() == 0 && a.in.ahead == nil {
		// The deadline is moved when a quarter is gone: it costs a timer.
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

// doze waits with next to no room: for the first bytes of a request, or for the
// rest of a head that comes slowly.
func (a *agentConn) doze() {
	idle := a.in.ahead == nil
	if idle {
		a.setDue(time.Now().Add(a.p.Limits.Idle))
	} else {
		a.setDue(a.head)
	}
	a.idle.Store(idle)
	var err error
	if !idle || !a.p.drain.Load() {
		err = a.in.wait()
	}
	for !idle && err == nil && isHeadToCome(a.in.ahead) {
		err = a.in.wait()
	}
	a.idle.Store(false)
	if idle && a.in.ahead == nil {
		a.finish()
		return
	}
	if err == nil {
		a.due = time.Time{}
	}
	a.buffers() // what went wrong shows again when the head is read
	a.proceed(a.serve())
}

// readRequest reads a request's head into a.req. What is no acceptable HTTP is
// answered with its status, logged, and the connection is over: nobody can tell
// where the next request would begin (RFC 9112 §9.6).
func (a *agentConn) readRequest() (ready bool, how outcome) {
	if !a.awaitHead() {
		return false, dozing
	}
	a.head = time.Time{}
	err := a.req.Read(a.br, a.p.Limits.Head)
	var bad *http1.Error
	switch {
	case err == nil:
		return true, over
	case errors.As(err, &bad):
		a.refuseHead(bad.Status, bad.Msg)
	case timedOut(err):
		a.refuseHead(408, "the head of the request did not come in time")
	case errors.Is(err, io.ErrUnexpectedEOF):
		a.refuseHead(400, "the connection ended within the head of a request")
	}
	return false, over
}

// longHead is the length from which a head is waited for with buffers, and
// headPause how long a shorter one may pause before it is waited for without.
const longHead, headPause = 4 << 10, 2 * time.Millisecond

// isHeadToCome tells whether b is the beginning of a head of which more must come,
// and not too long to wait for without buffers.
func isHeadToCome(b []byte) bool {
	return !bytes.Contains(b, endOfHead) && http1.Plausible(b) && len(b) < longHead
}

// awaitHead waits until the head is here, or as much of it as tells that it will
// not do. It is false when it comes so slowly that doze takes over.
func (a *agentConn) awaitHead() bool {
	for {
		a.br.Peek(1)
		b, _ := a.br.Peek(a.br.Buffered())
		if bytes.Contains(b, endOfHead) || !http1.Plausible(b) {
			return true
		}
		now := time.Now()
		if a.head.IsZero() {
			a.head = now.Add(a.p.Limits.HeadTime)
		}
		if len(b) >= longHead || !now.Before(a.head) {
			a.setDue(a.head)
			return true
		}
		soon := now.Add(headPause)
		if a.head.Before(soon) {
			soon = a.head
		}
		a.setDue(soon)
		if _, err := a.br.Peek(len(b) + 1); err != nil {
			if !timedOut(err) {
				return true
			}
			if time.Now().Before(a.head) {
				a.in.ahead = bytes.Clone(b)
				return false
			}
		}
	}
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
