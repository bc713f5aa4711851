package h2

import (
	"errors"
	"io"
	"net"
	"time"
)

// ServerConn is a connection of a client's that this side serves.
type ServerConn struct{ conn }

// NewServer prepares to serve c, on which HTTP/2 was agreed, and sends nothing
// yet. handle is called for each request on a goroutine that may have served
// others; when it returns without having called End, the stream is reset.
func NewServer(c net.Conn, cfg Config, handle func(*Stream)) *ServerConn {
	s := &ServerConn{}
	s.handle = handle
	s.init(c, cfg.orDefault(250), false)
	s.mu.Lock()
	s.sendSettings() // they are to go before all else, a GOAWAY too
	s.mu.Unlock()
	return s
}

// Serve serves the connection until it ends and all handlers have returned, and
// closes it. The error is nil where the client closed it between two frames,
// after Shutdown and after Close; a *ConnError where the client did not keep to
// HTTP/2.
func (s *ServerConn) Serve() error {
	s.mu.Lock()
	s.kick()
	s.mu.Unlock()
	err := s.end(s.readFrames())
	s.mu.Lock()
	for s.handlers > 0 {
		s.over.Wait()
	}
	s.mu.Unlock()
	if quiet(err) {
		return nil
	}
	return err
}

// Shutdown has the client open no more streams (RFC 9113 §6.8), and the
// connection closed when those in flight have ended. It does not wait for that.
func (s *ServerConn) Shutdown() {
	s.mu.Lock()
	s.shutdown()
	s.mu.Unlock()
}

// Idle reports that no request is under way.
func (s *ServerConn) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams) == 0 && s.handlers == 0
}

// Streams is the number of requests under way.
func (s *ServerConn) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(len(s.streams), s.handlers)
}

// Close closes the connection at once, and every stream with ErrClosed.
func (s *ServerConn) Close() { s.fail(ErrClosed) }

// shutdown begins the end; locked. Requests may be on their way: only those that
// come after the answer to the PING are not served.
func (c *conn) shutdown() {
	if c.going.away || c.err != nil {
		return
	}
	c.going.away, c.going.pinged = true, true
	c.out.need()
	c.out.b = appendGoAway(c.out.b, maxWindow, NoError, "")
	c.out.b = appendPing(c.out.b, 0, [8]byte{'d', 'r', 'a', 'i', 'n'})
	c.kick()
	time.AfterFunc(time.Second, func() {
		c.mu.Lock()
		c.lastGoAway()
		c.mu.Unlock()
	})
}

// lastGoAway says which streams are served to their end; locked.
func (c *conn) lastGoAway() {
	if !c.going.pinged || c.err != nil {
		return
	}
	c.going.pinged, c.going.final, c.going.last = false, true, c.lastID
	c.out.need()
	c.out.b = appendGoAway(c.out.b, c.going.last, NoError, "")
	c.kick()
}

// maybeEnd ends a connection that was to end, once nothing is under way; locked.
func (c *conn) maybeEnd() {
	if c.err != nil {
		c.over.Broadcast() // someone may wait for the last write
		return
	}
	last := c.going.final || c.client && c.going.away
	if !last || len(c.streams) > 0 || c.handlers > 0 || c.out.flushing || len(c.out.b) > 0 {
		return
	}
	err := c.going.err
	if err == nil {
		err = ErrClosed
	}
	c.failLocked(err)
	c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the read loop
}

// handled ends a stream whose handler has returned, and gives the next that
// waits for one.
func (c *conn) handled(s *Stream) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.onGone = nil
	if s.finished {
		s.abandon(NoError) // RFC 9113 §8.1: the rest of the request is not needed
	} else {
		s.abandon(InternalError)
	}
	s.drop()
	next := c.next()
	if next == nil {
		c.handlers--
		if len(c.streams) == 0 && c.handlers == 0 {
			c.idle = time.Now()
			c.over.Broadcast()
			c.maybeEnd()
		}
	}
	c.flush(true)
	return next
}

// next is a stream that waits for a handler and has not been reset; locked.
func (c *conn) next() *Stream {
	for len(c.waiting) > 0 {
		s := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		if s.err == nil {
			return s
		}
	}
	return nil
}

// end closes the connection after the read loop's err, and returns why it ended.
func (c *conn) end(err error) error {
	c.mu.Lock()
	switch {
	case c.err != nil:
		err = c.err // someone else ended it, and reading only failed then
	case c.going.err != nil:
		err = c.going.err // the server said why
	}
	var ce *ConnError
	ours := errors.As(err, &ce) && !ce.Remote
	polite := ours || err == ErrClosed
	if err == io.EOF {
		c.failLocked(io.ErrUnexpectedEOF) // to a stream it is no due end
	}
	c.failLocked(err)
	if ours && !c.out.dead { // after what failing may have taken out of the buffer
		last := c.lastID
		if c.client {
			last = 0 // a server opens no streams
		}
		c.out.need()
		c.out.b = appendGoAway(c.out.b, last, ce.Code, ce.Why)
	}
	polite = c.lastWrite() && polite
	c.mu.Unlock()
	c.timer.Stop()
	if polite {
		c.linger()
	}
	c.cut()
	c.rd.release()
	return err
}

// lastWrite sends what is in the buffer; locked, but not while it does. It is
// false when that failed.
func (c *conn) lastWrite() bool {
	c.nc.SetWriteDeadline(time.Now().Add(time.Second))
	if !c.out.flushing {
		c.out.flushing = true
		c.carry(-1)
	}
	for c.out.flushing {
		c.over.Wait()
	}
	ok := !c.out.dead
	c.out.dead = true
	return ok
}

// linger gives the peer's last bytes a moment to arrive before the connection is
// closed: closing with unread bytes makes the kernel send a reset, which can
// destroy what was sent last (RFC 9112 §9.6 says so of HTTP/1.1).
func (c *conn) linger() {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
	c.nc.SetReadDeadline(time.Now().Add(time.Second))
	io.CopyN(io.Discard, c.nc, 1<<20)
}
