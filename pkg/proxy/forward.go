package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"bottle/pkg/http1"
)

// buffers are for content on its way. One is held only while bytes move.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// forward sends the request to its origin and the answer to the agent. Both
// directions run at once, so that an early answer and a stream both ways come
// through. The request is sent once: what may have reached the origin is never
// repeated.
func (x *exchange) forward(h http1.Header) {
	x.access.Verdict = "allow"
	ws := x.wantsWebSocket()
	up, err := x.p.pool.get(x, ws)
	if err != nil {
		x.upstreamFault(err)
		return
	}
	x.access.UpstreamProto = up.proto
	stop := context.AfterFunc(x.ctx, func() { up.Close() })
	if ws {
		h = webSocketHeader(h, x.header)
	}
	s := sending{done: make(chan error, 1), gone: make(chan struct{})}
	go x.send(up, h, s)
	err = x.receive(up, ws)
	whole := x.settle(up, s) && err == nil
	if x.upgraded {
		x.join(x.reply.(*reply1).a, up)
		whole = false
	}
	if stop() && whole && up.clean() {
		x.p.pool.put(up)
		return
	}
	up.Close()
}

// sending is the progress of send.
type sending struct {
	done chan error    // the request was sent, or not
	gone chan struct{} // closed: the agent's connection is no longer read
}

// send writes the request's head and content to the origin and then watches
// for the agent to leave.
func (x *exchange) send(up *upConn, h http1.Header, s sending) {
	defer close(s.gone)
	x.awaitAnswer(up)
	up.bw.Write(http1.AppendRequest(nil, x.method, x.dest.raw, h.Frame(x.length)))
	var err error
	if x.body != nil {
		err = x.sendBody(up)
	}
	if err == nil {
		err = up.bw.Flush()
	}
	if x.body != nil {
		x.awaitAnswer(up)
	}
	s.done <- err
	if err == nil && x.watch != nil {
		x.watch()
	}
}

// awaitAnswer gives the origin its time for the head of the answer. Once that
// has come, a stream may be silent for as long as it likes.
func (x *exchange) awaitAnswer(up *upConn) {
	up.SetReadDeadline(time.Now().Add(x.p.Limits.Answer))
	if x.begun.Load() {
		up.SetReadDeadline(time.Time{})
	}
}

// sendBody copies the content. After an error of the agent's the connection to
// the origin is closed, so that it sees the content end in the middle and not in
// due form; the agent is told by receive.
func (x *exchange) sendBody(up *upConn) error {
	if err := up.bw.Flush(); err != nil { // the head goes first: a 100 may depend on it
		return err
	}
	var w io.Writer = up.bw
	var chunked *http1.ChunkedWriter
	if x.length < 0 {
		chunked = http1.NewChunkedWriter(up.bw)
		w = chunked
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := x.body.Read(*buf)
		if n > 0 {
			x.sent.Add(int64(n))
			x.awaitAnswer(up)
			if _, werr := w.Write((*buf)[:n]); werr != nil {
				return werr
			}
			if werr := up.bw.Flush(); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if !x.answered.Load() {
				x.spoiled.Store(true)
				up.raw.Close() // without TLS's alert, which would be a due end
			}
			return err
		}
	}
	if chunked != nil {
		return chunked.Close(x.cleanTrailer())
	}
	return nil
}

// cleanTrailer is the trailer of the request's content without the credential
// fields of the agent's own.
func (x *exchange) cleanTrailer() http1.Header {
	t := x.trailer()
	if x.route.TokenEnv == "" {
		return t
	}
	return x.withoutCredential(t)
}

// receive reads the answer and hands it on. The error says that the connection
// to the origin cannot be used again; the agent has been told what can be told.
func (x *exchange) receive(up *upConn, ws bool) error {
	resp, err := x.readHead(up)
	if err == nil && x.spoiled.Load() {
		err = errAgentBody // the answer to half a request
	}
	if err != nil {
		x.upstreamFault(x.cause(err))
		return err
	}
	x.begun.Store(true)
	up.SetReadDeadline(time.Time{})
	if resp.Status == 101 {
		return x.upgrade(up, resp, ws)
	}
	up.last = up.last || resp.Close || resp.ContentLength == -2
	length := resp.ContentLength
	if length < 0 {
		length = -1
	}
	if err := x.reply.head(resp.Status, x.scrubText(resp.Reason), x.fromOrigin(resp.Header), length); err != nil {
		return err
	}
	x.access.first(x.start)
	body := http1.NewBody(up.br, resp.ContentLength)
	if err := x.relay(up, body, x.masksFor(resp.Header)); err != nil {
		x.reply.abort()
		x.access.Error = printable(clip(x.cause(err).Error()))
		return err
	}
	return x.reply.end(x.fromOrigin(body.Trailer()))
}

// readHead reads the final answer's head and hands on the interim ones.
func (x *exchange) readHead(up *upConn) (*http1.Response, error) {
	const most = 32 // interim answers are rare; a flood of them is a fault
	for i := 0; i < most; i++ {
		resp, err := http1.ReadResponse(up.br, x.method, x.p.Limits.Head)
		if err != nil {
			return nil, err
		}
		if resp.Status == 101 || resp.Status >= 200 {
			return resp, nil
		}
		if resp.Status == 100 && !x.expect {
			continue // RFC 9110 §15.2.1: the agent did not ask
		}
		if err := x.reply.interim(resp.Status, x.fromOrigin(resp.Header)); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("too many interim answers")
}

// relay copies the answer's content. It flushes whenever the origin has no more
// at hand, so that no event waits for the next.
func (x *exchange) relay(up *upConn, body *http1.Body, mask masks) error {
	if up.br.Buffered() == 0 && !body.Done() {
		if err := x.reply.flush(); err != nil {
			return err
		}
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := body.Read(*buf)
		if n > 0 {
			x.received.Add(int64(n))
			mask.apply((*buf)[:n])
			if _, werr := x.reply.Write((*buf)[:n]); werr != nil {
				return werr
			}
			// A short read is all there is, even when a piece of the next
			// chunk's frame has come.
			if err == nil && (n < len(*buf) || up.br.Buffered() == 0) {
				if werr := x.reply.flush(); werr != nil {
					return werr
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// settle ends the sending side after the answer, and tells whether the whole
// request was sent. A request still on its way after a final answer gets a
// moment: its last bytes are often under way.
func (x *exchange) settle(up *upConn, s sending) bool {
	whole := false
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case err := <-s.done:
		whole = err == nil
	case <-t.C:
	}
	x.answered.Store(true)
	if !whole {
		up.Close() // it may hang in a write to an origin that does not read
	}
	if x.unwatch != nil {
		x.unwatch()
		<-s.gone
	}
	return whole
}

// cause is why an exchange ended, where that is known better than by err.
func (x *exchange) cause(err error) error {
	if c := context.Cause(x.ctx); c != nil && c != context.Canceled {
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
