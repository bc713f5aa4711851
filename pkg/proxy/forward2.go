package proxy

import (
	"bytes"
	"errors"
	"io"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// forward2 is the exchange with the origin in HTTP/2. again says that the origin
// certainly did nothing, and that the request is still here to be sent once more
// (RFC 9113 §8.7). An error says that nothing was done, and the agent not told.
func (x *exchange) forward2(s *session, h http1.Header) (again bool, err error) {
	x.access.UpstreamProto = "h2"
	x.answered.Store(false) // it may be the second time
	if x.small != nil {
		x.small = bytes.Clone(x.small) // the watcher moves what is in the reader
		x.body = bytes.NewReader(x.small)
	}
	st, err := x.open2(s, h)
	x.left = !errors.Is(err, h2.ErrNotSent)
	switch cut := x.wasCut(); {
	case err == nil:
	case cut != nil:
		return false, cut
	case errors.Is(err, h2.ErrNotSent) && !errors.Is(err, h2.ErrNotExtended):
		return true, nil
	default:
		return false, err
	}
	defer st.Close()
	if !x.hold(cancelled{st}) {
		return false, x.wasCut()
	}
	defer x.letGo()
	sending := x.send2(st)
	again = x.receive2(st)
	x.left = !again
	x.settle2(st, sending)
	if x.upgraded {
		x.join(x.agentSide(), stream{st})
	}
	return again, nil
}

// open2 opens a stream with the request's head.
func (x *exchange) open2(s *session, h http1.Header) (*h2.Stream, error) {
	ctx, done := x.context()
	defer done()
	return s.OpenContext(ctx, x.head2(h), x.body == nil && x.ws == nil)
}

// repeatable tells whether the whole request is here.
func (x *exchange) repeatable() bool { return x.body == nil || x.small != nil }

// head2 is the request's head. "TE: trailers" is the one field of its kind that
// HTTP/2 has; gRPC wants it.
func (x *exchange) head2(h http1.Header) h2.Head {
	if x.header.HasMember("TE", "trailers") {
		h = h.Add("TE", "trailers")
	}
	if x.length > 0 {
		h = h.WithLength(x.length)
	}
	head := h2.Head{Method: x.method, Scheme: x.dest.scheme, Authority: x.dest.authority(), Path: x.dest.raw, Header: h}
	if x.ws != nil {
		head.Method, head.Protocol = "CONNECT", "websocket"
	}
	if x.cred != nil {
		head.Secret = credentialField(x.route)
	}
	return head
}

// cancelled is a stream as what a cut closes.
type cancelled struct{ s *h2.Stream }

func (c cancelled) Close() error { c.s.Reset(h2.Cancel); return nil }

// send2 sends the content, if it has to come yet by a goroutine of its own.
func (x *exchange) send2(st *h2.Stream) *sending {
	x.awaitAnswer(st)
	switch {
	case x.ws != nil:
		st.Flush()
	case x.body != nil:
		return x.startSending2(st)
	}
	if x.watcher != nil {
		x.watcher.start(x)
	}
	return nil
}

// startSending2 is startSending on a stream.
func (x *exchange) startSending2(st *h2.Stream) *sending {
	s := &sending{done: make(chan error, 1), gone: make(chan struct{})}
	go func() {
		defer close(s.gone)
		err := x.sendBody2(st)
		x.awaitAnswer(st)
		s.done <- err
		if err == nil && x.watcher != nil {
			w := watcher{x: x}
			w.look()
		}
	}()
	return s
}

// sendBody2 copies the content. After an error of the agent's the stream is
// reset, so that the origin does not take a piece for the whole.
func (x *exchange) sendBody2(st *h2.Stream) error {
	if err := st.Flush(); err != nil {
		return err
	}
	for {
		awaitContent(x.body)
		read, wrote := x.sendPiece2(st)
		switch {
		case wrote != nil:
			return wrote
		case read == io.EOF:
			return st.End(x.cleanTrailer())
		case read != nil:
			if !x.answered.Load() {
				x.spoiled.Store(true)
				st.Reset(h2.Cancel)
			}
			return read
		}
	}
}

// sendPiece2 copies what is there, and tells what went wrong on either side.
func (x *exchange) sendPiece2(st *h2.Stream) (read, wrote error) {
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	n, read := x.body.Read(buf[:])
	if n > 0 {
		x.sent.Add(int64(n))
		x.awaitAnswer(st)
		_, wrote = st.Write(buf[:n])
	}
	if wrote == nil && read == nil {
		wrote = st.Flush()
	}
	return read, wrote
}

// awaitContent waits where the content's reader can tell that some is there, so
// that no room is held for it meanwhile.
func awaitContent(body io.Reader) {
	if b, ok := body.(interface{ Await() }); ok {
		b.Await()
	}
}

// settle2 is the end of sending.
func (x *exchange) settle2(st *h2.Stream, s *sending) {
	if s != nil {
		x.settle(cancelled{st}, s)
		return
	}
	x.answered.Store(true)
	x.unwatch()
}

// receive2 reads the answer and hands it on. again is as in forward2.
func (x *exchange) receive2(st *h2.Stream) (again bool) {
	head, err := x.readHead2(st)
	if err == nil && x.spoiled.Load() {
		err = errAgentBody
	}
	if err == nil && !x.startAnswer() {
		err = x.wasCut()
	}
	if err != nil {
		if errors.Is(err, h2.ErrNotProcessed) && x.repeatable() && x.wasCut() == nil {
			return true
		}
		x.upstreamFault(x.cause(err))
		return false
	}
	x.begun.Store(true)
	st.SetReadDeadline(time.Time{})
	if x.ws != nil && head.Status/100 == 2 {
		x.upgrade2(head.Header)
		return false
	}
	if x.reply.head(head.Status, "", x.fromOrigin(head.Header), head.Length) != nil {
		return false
	}
	x.access.first(x.start)
	if err := x.relay2(st, x.masksFor(head.Header)); err != nil {
		x.reply.abort()
		x.access.Error = printable(clip(x.cause(err).Error()))
		return false
	}
	x.reply.end(x.fromOrigin(st.Trailer()))
	return false
}

// readHead2 reads the final answer's head and hands on the interim ones.
func (x *exchange) readHead2(st *h2.Stream) (h2.Head, error) {
	for range maxInterim {
		head, err := st.ReadHead()
		if err != nil || head.Status >= 200 {
			return head, err
		}
		if head.Status == 100 && !x.expect {
			continue // RFC 9110 §15.2.1: the agent did not ask
		}
		if cut := x.wasCut(); cut != nil {
			return head, cut
		}
		if err := x.reply.interim(head.Status, x.fromOrigin(head.Header)); err != nil {
			return head, err
		}
	}
	return h2.Head{}, errInterims
}

// relay2 copies the answer's content. It flushes before it waits for the origin.
func (x *exchange) relay2(st *h2.Stream, mask masks) error {
	for {
		if !st.Ready() {
			if err := x.reply.flush(); err != nil {
				return err
			}
			st.Await()
		}
		err := x.relayPiece2(st, mask)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (x *exchange) relayPiece2(st *h2.Stream, mask masks) error {
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	n, err := st.Read(buf[:])
	if n > 0 {
		x.received.Add(int64(n))
		mask.apply(buf[:n])
		if _, werr := x.reply.Write(buf[:n]); werr != nil {
			return werr
		}
	}
	return err
}
