package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"bottle/pkg/http1"
)

var (
	errHostOfConnect = errors.New("the Host of the CONNECT names another destination than its target")
	errSNI           = errors.New("the SNI of the TLS handshake names another host than the CONNECT")
	errNotAbsolute   = errors.New("this is a forward proxy; wanted CONNECT or an absolute http:// URL")
	errHTTPSInClear  = errors.New("https:// in the clear is refused; wanted CONNECT")
	errNestedConnect = errors.New("CONNECT within a tunnel is refused")
)

// exchange1 serves the request in a.req. It is false when the connection is
// over.
func (a *agentConn) exchange1() bool {
	x, req := &a.x, &a.req
	x.begin(a)
	r := &a.reply
	*r = reply1{a: a, x: x, minor: req.Minor}
	x.method, x.header, x.length, x.expect, x.close = req.Method, req.Header, req.ContentLength, req.Expect, req.Close
	x.reply, x.watcher, x.cutting.agent = r, &a.watcher, resetting{a}
	body := a.content(x)
	dest, err := a.destination(req)
	x.dest = dest
	if err != nil {
		x.mismatch(err)
		return r.ended && a.goesOn(x, body)
	}
	a.enter(x)
	x.handle()
	if !x.finish() {
		x.close = true
	}
	return r.ended && !x.upgraded && a.goesOn(x, body)
}

// resetting is a connection as what a cut closes: with a reset, as otherwise
// HTTP/1.0 in the clear could not tell it from the due end.
type resetting struct{ a *agentConn }

func (r resetting) Close() error {
	if c, ok := r.a.sock.Conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	return r.a.Close()
}

// content is the content of the request. All that came with the head is used
// at once; what is still to come has a limit on its pauses.
func (a *agentConn) content(x *exchange) *http1.Body {
	body := &a.body
	body.Reset(a.br, x.length)
	switch {
	case x.length == 0:
	case x.length > 0 && x.length <= int64(a.br.Buffered()) && !x.expect:
		x.small, _ = a.br.Peek(int(x.length))
	default:
		a.due = time.Time{}
		x.body, x.trailer = &stalling{x: x, a: a, body: body, r: &a.reply}, body.Trailer
	}
	return body
}

// goesOn tells whether another request may follow. What is left of the
// content is read away.
func (a *agentConn) goesOn(x *exchange, body *http1.Body) bool {
	if x.small != nil {
		a.br.Discard(len(x.small))
	} else if !x.close && !body.Done() && !a.drop(body) {
		x.close = true
	}
	if x.close {
		a.linger()
	}
	return !x.close
}

// mismatch answers a request that does not have one destination.
func (x *exchange) mismatch(err error) {
	status, code := 403, codeMismatch
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		status, code = bad.Status, codeBadRequest
	case errors.Is(err, errNotAbsolute):
		status, code = 400, codeBadRequest
	}
	x.fault(status, code, err.Error())
	x.log()
}

// destination is where a request goes: what the CONNECT said, or the absolute
// form. All that names it otherwise must agree.
func (a *agentConn) destination(req *http1.Request) (target, error) {
	if a.dest == nil {
		return absoluteTarget(req)
	}
	dest := *a.dest
	if req.Method == "CONNECT" {
		return dest, errNestedConnect
	}
	if a.sniErr != nil {
		return dest, a.sniErr
	}
	if req.Header.Has("Host") {
		if err := dest.agrees("Host", req.Header.Get("Host")); err != nil {
			return dest, err
		}
	}
	return dest.withTarget(req.Method, req.Target)
}

// absoluteTarget is the destination of a request that came without a CONNECT.
func absoluteTarget(req *http1.Request) (target, error) {
	scheme, authority, rest, ok := splitAbsolute(req.Target)
	switch {
	case !ok && strings.HasPrefix(req.Target, "/") && req.Header.Get("Host") == MagicHost:
		// A health check that is no proxy's client. Nothing is forwarded there.
		return target{scheme: "http", host: MagicHost, port: 80}.withTarget(req.Method, req.Target)
	case !ok:
		return target{}, errNotAbsolute
	case scheme == "https":
		return target{}, errHTTPSInClear
	case scheme != "http":
		return target{}, fmt.Errorf("the scheme %q is refused; wanted http", clip(scheme))
	}
	host, port, err := parseAuthority(authority, 80)
	if err != nil {
		return target{}, err
	}
	dest := target{scheme: "http", host: host, port: port}
	if req.Header.Has("Host") {
		if err := dest.agrees("Host", req.Header.Get("Host")); err != nil {
			return dest, err
		}
	}
	return dest.withTarget(req.Method, rest)
}

// content1 is the socket that an HTTP/1.1 request's content comes from.
func (a *agentConn) content1() *socket {
	if a.br == nil {
		return nil
	}
	return a.sock
}

// stalling is a request's content with a limit on the time between two reads
// until the answer has begun; later on a stream may be silent.
type stalling struct {
	x    *exchange
	a    *agentConn
	body *http1.Body
	r    *reply1
	at   time.Time // when the deadline was moved
	late error     // it has passed
}

// InContent is that of the content.
func (s *stalling) InContent() bool { return s.body.InContent() }

// Await waits until there is something to read.
func (s *stalling) Await() {
	s.bound()
	if s.a.br.Buffered() == 0 && !s.body.Done() && !s.a.sock.recordReady() {
		if _, err := s.a.br.Peek(1); timedOut(err) {
			s.late = err
		}
	}
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.late != nil {
		return 0, s.late
	}
	s.bound()
	return s.body.Read(p)
}

func (s *stalling) bound() {
	stall := s.a.p.Limits.Stall
	if now := time.Now(); !s.r.begun.Load() && now.Sub(s.at) > stall/16 {
		s.at = now
		s.a.SetReadDeadline(now.Add(stall))
		if s.r.begun.Load() { // meanwhile: do not undo what head and unwatch set
			s.a.SetReadDeadline(time.Time{})
		}
		if s.x.answered.Load() {
			s.a.SetReadDeadline(past)
		}
	}
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// little is how much content that nobody wanted is read to keep a connection.
const little = 256 << 10

// drop reads the rest of a request's content that nobody wanted, when it is
// little and not held back for a 100, and tells whether the connection can go on.
func (a *agentConn) drop(body *http1.Body) bool {
	a.setDue(time.Now().Add(time.Second))
	_, err := io.CopyN(io.Discard, body, little)
	return err == io.EOF && body.Done()
}
