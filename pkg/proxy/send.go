package proxy

import (
	"bufio"
	"io"
	"time"

	"bottle/pkg/http1"
)

// sendWhole sends a request of which everything is here, in one write, and
// begins to watch for the agent to leave.
func (x *exchange) sendWhole(up *upConn, h http1.Header) error {
	up.within(x.p.Limits.Answer)
	target, h := x.outward(up, h)
	head := http1.AppendRequest(up.bw.AvailableBuffer(), x.method, target, h.Frame(x.length))
	// What one buffer holds fits the kernel's; the rest could wait for an origin
	// that does not read.
	large := len(head)+len(x.small) > bufSize
	if large {
		up.SetWriteDeadline(time.Now().Add(min(x.p.Limits.Stall, x.p.Limits.Answer)))
	}
	up.bw.Write(head)
	if x.small != nil {
		up.bw.Write(x.small)
		x.sent.Add(int64(len(x.small)))
	}
	err := up.bw.Flush()
	if large {
		up.SetWriteDeadline(time.Time{})
	}
	if x.small != nil { // it went: the watcher looks behind it
		x.a.br.Discard(len(x.small))
		x.small = x.small[:0]
	}
	if x.watcher != nil {
		x.watcher.start(x)
	}
	return err
}

// unwatch ends what sendWhole began.
func (x *exchange) unwatch() {
	if x.watcher != nil {
		x.watcher.stop()
	}
}

// sending is the progress of a request whose content comes while the answer
// may begin.
type sending struct {
	done chan error    // the request was sent, or not
	gone chan struct{} // closed: the agent's connection is no longer read
}

// startSending sends the request while another goroutine receives, so that an
// early answer and a stream both ways come through. Then it watches for the
// agent to leave.
func (x *exchange) startSending(up *upConn, h http1.Header) *sending {
	s := &sending{done: make(chan error, 1), gone: make(chan struct{})}
	x.awaitAnswer(up)
	go func() {
		defer close(s.gone)
		target, h := x.outward(up, h)
		up.bw.Write(http1.AppendRequest(up.bw.AvailableBuffer(), x.method, target, h.Frame(x.length)))
		err := x.sendBody(up)
		x.awaitAnswer(up)
		s.done <- err
		if err == nil && x.watcher != nil {
			w := watcher{x: x}
			w.look()
		}
	}()
	return s
}

// awaitAnswer gives the origin its time for the head of the answer, which
// another goroutine may have read meanwhile.
func (x *exchange) awaitAnswer(up interface{ SetReadDeadline(time.Time) error }) {
	up.SetReadDeadline(time.Now().Add(x.p.Limits.Answer))
	if x.begun.Load() {
		up.SetReadDeadline(time.Time{})
	}
}

// within gives the origin time for the head of the answer. The deadline is not
// moved by less than a sixteenth: it costs a timer.
func (u *upConn) within(d time.Duration) {
	due := time.Now().Add(d)
	if off := due.Sub(u.due); off < 0 || off > d/16 {
		u.due = due
		u.SetReadDeadline(due)
	}
}

// noDue lets reads wait for ever.
func (u *upConn) noDue() {
	u.due = time.Time{}
	u.SetReadDeadline(u.due)
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
	from := bulk{x.a.content1()}
	defer from.end()
	for {
		awaitContent(x.body)
		err, werr := x.sendPiece(up, w, from)
		if werr != nil {
			return werr
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if !x.answered.Load() {
				x.spoiled.Store(true)
				up.Close() // without TLS's alert, which would be a due end
			}
			return err
		}
	}
	if chunked != nil {
		if err := chunked.Close(x.cleanTrailer()); err != nil {
			return err
		}
	}
	return up.bw.Flush()
}

func (x *exchange) sendPiece(up *upConn, w io.Writer, from bulk) (read, wrote error) {
	buf := bulks.Get().(*[]byte)
	defer bulks.Put(buf)
	n, read := from.fill(x.body, (*buf)[:bulkSize])
	if n > 0 {
		x.sent.Add(int64(n))
		x.awaitAnswer(up)
		wrote = writeBulk(w, up.bw, up.sock, (*buf)[:n])
	}
	return read, wrote
}

// writeBulk writes p by way of w and bw, and as one write to the connection.
func writeBulk(w io.Writer, bw *bufio.Writer, sock *socket, p []byte) error {
	if len(p) > bufSize {
		sock.cork()
	}
	_, err := w.Write(p)
	if err == nil {
		err = bw.Flush()
	}
	if len(p) > bufSize {
		if e := sock.uncork(); err == nil {
			err = e
		}
	}
	return err
}

// cleanTrailer is the trailer of the request's content without the credential
// fields of the agent's own.
func (x *exchange) cleanTrailer() http1.Header {
	if x.trailer == nil {
		return nil
	}
	t := x.trailer()
	if x.route.TokenEnv == "" {
		return t
	}
	return x.withoutCredential(t)
}

// settle ends the sending side after the answer, and tells whether the whole
// request was sent. A request still on its way after a final answer gets a
// moment: its last bytes are often under way.
func (x *exchange) settle(up io.Closer, s *sending) bool {
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
	x.reply.noMore()
	<-s.gone
	return whole
}
