package h2

const (
	connWindow   = 1 << 20   // what the peer may have under way on a connection
	serverWindow = 16 << 10  // a request's content before its handler read any
	clientWindow = 64 << 10  // an answer's content before it was read
	midWindow    = 256 << 10 // after the first read
	topWindow    = 1 << 20   // client: of a long answer, as origins may be far away
	serverGrowth = 1 << 20   // what all streams of a connection may have beyond
	clientGrowth = 2 << 20   // their first windows
	firstWindow  = 1<<16 - 1 // RFC 9113 §6.9.2, until SETTINGS say otherwise
	lateData     = 256 << 10 // what a connection may have over its windows at its start
)

// How much a connection may be made to hold: every stream may be filled to its
// window, and nothing more, since a window is given back only as content is
// read. So streams begin with a small window, and those that are read get more
// as long as the connection has growth left. The window of the connection is
// given back on arrival: a stream that nobody reads never starves another.
// In all that is MaxStreams first windows, the growth and what is late: 5 MiB on a
// server.

// connFlow is the connection's windows.
type connFlow struct {
	send int64 // what may be sent
	recv int64 // what the peer may send
}

func (f *connFlow) init() { f.send, f.recv = firstWindow, connWindow }

// arrive takes n bytes of DATA off the connection's window and gives them back
// when half of it is used; locked. A peer gets none back before it acknowledged
// our SETTINGS, since until then it fills larger windows.
func (c *conn) arrive(n int) error {
	c.flow.recv -= int64(n)
	if c.flow.recv < 0 {
		return connError(FlowControlError, "more data than the connection's window")
	}
	c.giveBack()
	return nil
}

func (c *conn) giveBack() {
	if owed := connWindow - c.flow.recv; owed >= connWindow/2 && c.ours.acked && c.err == nil {
		c.control()
		c.out.b = appendWindow(c.out.b, 0, owed)
		c.flow.recv = connWindow
	}
}

// grant gives the peer window for what was taken of the stream's content, in
// pieces of a quarter window; locked. It reports whether a frame is to be sent.
func (s *Stream) grant() bool {
	if s.ended || s.err != nil || s.owed*4 < s.window {
		return false
	}
	s.grow()
	s.c.out.need()
	s.c.out.b = appendWindow(s.c.out.b, s.id, s.owed)
	s.recv += s.owed
	s.owed = 0
	return true
}

// grow makes the window of a stream that is read larger, as far as the
// connection's growth allows; locked. It adds to what is owed.
func (s *Stream) grow() {
	want, most := int64(midWindow), int64(serverGrowth)
	if s.c.client {
		most = clientGrowth
		if s.got > topWindow {
			want = topWindow
		}
	}
	more := min(want-s.window, most-s.c.grown)
	if more <= 0 {
		return
	}
	s.window += more
	s.c.grown += more
	s.growth += more
	s.owed += more
}

// ungrow returns what the stream took; locked. The stream takes no more content.
func (s *Stream) ungrow() {
	s.c.grown -= s.growth
	s.growth = 0
}

// addSend makes a send window larger, within RFC 9113 §6.9.1.
func addSend(window *int64, n int64) bool {
	*window += n
	return *window <= maxWindow
}

// windowUpdate takes a WINDOW_UPDATE (RFC 9113 §6.9).
func (c *conn) windowUpdate(f frame, b []byte) error {
	if len(b) != 4 {
		return connError(FrameSizeError, "a WINDOW_UPDATE not 4 bytes long")
	}
	n := int64(uint32(b[0]&0x7f)<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.id == 0 {
		if n == 0 {
			return connError(ProtocolError, "a WINDOW_UPDATE of nothing")
		}
		if !addSend(&c.flow.send, n) {
			return connError(FlowControlError, "the connection's window over 2^31-1")
		}
		c.out.wakeAll()
		return nil
	}
	s := c.streams[f.id]
	switch {
	case s == nil && c.isIdle(f.id):
		return connError(ProtocolError, "WINDOW_UPDATE on an idle stream")
	case s == nil:
		return nil // on its way when the stream was closed
	case n == 0:
		return c.streamError(s, malformed("a WINDOW_UPDATE of nothing"))
	case !addSend(&s.send, n):
		return c.streamError(s, &StreamError{Code: FlowControlError, Why: "the stream's window over 2^31-1"})
	}
	s.wcond.Signal()
	return nil
}
