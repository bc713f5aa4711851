package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// forward sends the request to its origin and the answer to the agent. The
// request is sent once: what may have reached the origin is never repeated.
func (x *exchange) forward(h http1.Header) {
	x.access.Verdict = "allow"
	ws := x.wantsWebSocket()
	if x.ws != nil && !ws {
		x.fault(400, codeBadRequest, "a WebSocket handshake of another version; wanted 13")
		return
	}
	// What the origin certainly did not process is sent once more.
	for range 3 {
		again, err := x.forwardBy(h, ws)
		if err != nil {
			x.upstreamFault(err)
		}
		if !again {
			return
		}
	}
	x.upstreamFault(&fault{502, codeUpstream, "host '" + x.dest.host + "' took the request on no connection"})
}

// forwardBy forwards by the protocol that the agent and the origin have in
// common. The error is that of finding a connection.
func (x *exchange) forwardBy(h http1.Header, ws bool) (again bool, err error) {
	if _, http2 := x.reply.(*reply2); http2 && x.dest.scheme == "https" {
		again, err := x.tryForward2(h)
		if !errors.Is(err, errOnly1) {
			return again, err
		}
	}
	up, err := x.p.pool.get(x, ws)
	if errors.Is(err, errOnly2) && !ws {
		return x.tryForward2(h)
	}
	if err != nil {
		return false, err
	}
	if !x.hold(up) {
		up.finish()
		return false, x.wasCut()
	}
	x.access.UpstreamProto = up.proto
	if ws {
		h = x.webSocketHeader(h)
	}
	whole := x.forward1(up, h, ws)
	if x.letGo() && whole && !ws && !up.last && up.br.Buffered() == 0 && up.sock.ahead == nil {
		x.p.pool.put(up)
		return false, nil
	}
	up.finish()
	return false, nil
}

var (
	errOnly1 = errors.New("the origin speaks HTTP/1.1 only")
	errOnly2 = errors.New("the origin speaks HTTP/2 only")
)

// tryForward2 forwards in HTTP/2, or returns errOnly1.
func (x *exchange) tryForward2(h http1.Header) (again bool, err error) {
	s, err := x.getSession()
	if err != nil {
		return false, err
	}
	if s == nil {
		return false, errOnly1
	}
	defer x.p.sessions.release(s)
	again, err = x.forward2(s, h)
	if errors.Is(err, h2.ErrNotExtended) {
		err = errOnly1
	}
	return again, err
}

// forward1 is the exchange with the origin in HTTP/1.1. It tells whether both
// messages were whole.
func (x *exchange) forward1(up *upConn, h http1.Header, ws bool) bool {
	var s *sending
	x.left = true
	sent := true
	if x.body == nil {
		sent = x.sendWhole(up, h) == nil
	} else {
		s = x.startSending(up, h)
	}
	err := x.receive(up, ws)
	if s == nil {
		x.answered.Store(true)
		x.unwatch()
	} else {
		sent = x.settle(up, s)
		up.due = time.Time{}
	}
	if x.upgraded {
		x.join(x.agentSide(), up)
		return false
	}
	return err == nil && sent
}

// receive reads the answer and hands it on. The error says that the connection
// to the origin cannot be used again; the agent has been told what can be told.
func (x *exchange) receive(up *upConn, ws bool) error {
	resp, err := x.readHead(up)
	if err == nil && x.spoiled.Load() {
		err = errAgentBody // the answer to half a request
	}
	if err == nil && x.ws != nil && resp.Status/100 == 2 {
		// To the agent any 2xx would open the WebSocket (RFC 8441 §5).
		err = &fault{502, codeUpstream, fmt.Sprintf("host '%s' answered %d to a WebSocket handshake; wanted 101", x.dest.host, resp.Status)}
	}
	if err == nil && resp.Status != 101 && !x.startAnswer() {
		err = x.wasCut()
	}
	if err != nil {
		x.upstreamFault(x.cause(err))
		return err
	}
	x.begun.Store(true)
	if resp.Status == 101 {
		up.noDue()
		return x.upgrade(up, resp, ws)
	}
	up.last = up.last || resp.Close || resp.ContentLength == -2
	x.rest.Reset(up.br, resp.ContentLength)
	if !x.here(up, resp.ContentLength) {
		up.noDue() // a stream may be silent for as long as it likes
	}
	if err := x.reply.head(resp.Status, x.scrubText(resp.Reason), x.fromOrigin(resp.Header), max(resp.ContentLength, -1)); err != nil {
		return err
	}
	x.access.first(x.start)
	if err := x.relay(up, x.masksFor(resp.Header)); err != nil {
		x.reply.abort()
		x.access.Error = printable(clip(x.cause(err).Error()))
		return err
	}
	return x.reply.end(x.fromOrigin(x.rest.Trailer()))
}

// here tells whether content of this length has come.
func (x *exchange) here(up *upConn, length int64) bool {
	return x.rest.Done() || length > 0 && length <= int64(up.br.Buffered())
}

// readHead reads the final answer's head and hands on the interim ones.
func (x *exchange) readHead(up *upConn) (*http1.Response, error) {
	for range maxInterim {
		resp := &x.resp
		if err := resp.Read(up.br, x.method, x.p.Limits.Head); err != nil {
			return nil, err
		}
		if resp.Status == 101 || resp.Status >= 200 {
			return resp, nil
		}
		if resp.Status == 100 && !x.expect {
			continue // RFC 9110 §15.2.1: the agent did not ask
		}
		if c := x.wasCut(); c != nil {
			return nil, c
		}
		if err := x.reply.interim(resp.Status, x.fromOrigin(resp.Header)); err != nil {
			return nil, err
		}
	}
	return nil, errInterims
}

// maxInterim bounds interim answers. They are rare; a flood of them is a fault.
const maxInterim = 32

var errInterims = errors.New("too many interim answers")

// cause is why an exchange ended, where that is known better than by err.
func (x *exchange) cause(err error) error {
	if c := x.wasCut(); c != nil {
		return c
	}
	if x.spoiled.Load() {
		return errAgentBody
	}
	return err
}

// upstreamFault answers for an origin that did not. Nothing is sent to an agent
// that has left.
func (x *exchange) upstreamFault(err error) {
	var f *fault
	var bad *http1.Error
	var slow net.Error
	switch {
	case errors.Is(err, errAgentLeft):
		x.note("error", "agent-left", err.Error())
	case errors.Is(err, errTakenAway):
		x.close = true
		x.fault(403, "route-removed", "host '"+x.dest.host+"': "+err.Error()+" while the request was under way")
	case errors.Is(err, errAgentBody):
		x.close = true
		x.fault(400, codeBadRequest, err.Error())
	case errors.As(err, &f):
		x.fault(f.status, f.code, f.msg)
	case errors.As(err, &bad):
		x.fault(502, codeUpstream, "host '"+x.dest.host+"' gave an answer that is not acceptable HTTP: "+bad.Msg)
	case errors.As(err, &slow) && slow.Timeout():
		x.fault(504, codeUpstreamTimeout, "host '"+x.dest.host+"' did not answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		x.fault(502, codeUpstream, "host '"+x.dest.host+"' closed the connection before it answered; the request may have been processed and was not sent again")
	default:
		x.fault(502, codeUpstream, "host '"+x.dest.host+"': "+what(err))
	}
}
