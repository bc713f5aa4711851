package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// exchange1 serves one HTTP/1.1 request. It is false when the connection is
// over.
func (a *agentConn) exchange1(req *http1.Request) bool {
	x := a.p.newExchange(a.proto)
	r := &reply1{a: a, x: x, minor: req.Minor}
	x.method, x.header, x.length, x.expect, x.close = req.Method, req.Header, req.ContentLength, req.Expect, req.Close
	x.reply = r
	body := http1.NewBody(a.br, req.ContentLength)
	if req.ContentLength != 0 {
		x.body, x.trailer = &stalling{x, a, body, r}, body.Trailer
	}
	stop := context.AfterFunc(x.ctx, func() { a.Close() })
	x.watch, x.unwatch = a.watcher(x)
	dest, err := a.destination(req)
	x.dest = dest
	if err != nil {
		x.mismatch(err)
	} else {
		x.handle(stop)
	}
	if !x.finished && !stop() {
		return false // it was cut, and the connection with it
	}
	switch {
	case !r.ended || x.upgraded:
		return false
	case x.close || !body.Done() && !a.drop(body):
		a.linger()
		return false
	}
	return true
}

// mismatch answers a request that does not have one destination.
func (x *exchange) mismatch(err error) {
	status, code := 403, codeMismatch
	if errors.Is(err, errNotAbsolute) || errors.Is(err, errNoContent) {
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
	if err := a.agreesWithSNI(); err != nil {
		return dest, err
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
		return target{"http", MagicHost, 80, "", ""}.withTarget(req.Method, req.Target)
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

// stalling is a request's content with a limit on the time between two reads
// until the answer has begun; later on a stream may be silent.
type stalling struct {
	x    *exchange
	a    *agentConn
	body *http1.Body
	r    *reply1
}

func (s *stalling) Read(p []byte) (int, error) {
	if !s.r.begun.Load() {
		s.a.SetReadDeadline(time.Now().Add(s.a.p.Limits.Stall))
		if s.r.begun.Load() { // meanwhile: do not undo what head and unwatch set
			s.a.SetReadDeadline(time.Time{})
		}
		if s.x.answered.Load() {
			s.a.SetReadDeadline(past)
		}
	}
	return s.body.Read(p)
}

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)

// watcher returns what waits for the agent to leave once its request is read,
// and what ends that wait. Bytes that arrive are the next request's and stay
// where they are.
func (a *agentConn) watcher(x *exchange) (watch, unwatch func()) {
	watch = func() {
		a.SetReadDeadline(time.Time{})
		if x.answered.Load() {
			return
		}
		if _, err := a.br.Peek(1); err != nil && !timedOut(err) {
			x.cut(errAgentLeft)
		}
	}
	unwatch = func() {
		x.answered.Store(true)
		a.SetReadDeadline(past)
	}
	return watch, unwatch
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
	a.SetReadDeadline(time.Now().Add(time.Second))
	_, err := io.CopyN(io.Discard, body, little)
	return err == io.EOF && body.Done()
}
