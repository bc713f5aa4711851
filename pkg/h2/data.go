package h2

// data takes a DATA frame (RFC 9113 §6.1) piece by piece as it comes, so that
// content is not held back until its frame is whole.
func (c *conn) data(f frame) error {
	if f.id == 0 {
		return connError(ProtocolError, "DATA on no stream")
	}
	left, pad := f.length, 0
	if f.has(flagPadded) {
		if left == 0 {
			return connError(FrameSizeError, "a padded frame without its pad length")
		}
		b, err := c.rd.some(1, c.wait)
		if err != nil {
			return cutShort(err)
		}
		left--
		if pad = int(b[0]); pad > left {
			return connError(ProtocolError, "padding longer than its frame")
		}
		left -= pad
	}
	s, err := c.dataFor(f, left)
	if err != nil {
		return err
	}
	if left > 0 && s != nil {
		c.calm.earn(calmData)
	}
	if err := c.take(s, left); err != nil {
		return err
	}
	if err := c.take(nil, pad); err != nil {
		return err
	}
	if s != nil && f.has(flagEndStream) {
		return c.dataEnd(s)
	}
	return nil
}

// dataFor finds the stream of a DATA frame with n bytes of content and charges
// both windows. The stream is nil when the content is to be dropped.
func (c *conn) dataFor(f frame, n int) (*Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.arrive(f.length); err != nil {
		return nil, err
	}
	s := c.streams[f.id]
	if s == nil {
		return nil, c.strayData(f, n)
	}
	if n == 0 {
		if err := c.idleFrame(); err != nil {
			return nil, err
		}
	}
	e := s.mayTake(f, n)
	if e != nil {
		return nil, c.streamError(s, e)
	}
	s.recv -= int64(f.length)
	s.got += int64(n)
	if n < f.length { // padding needs no reader
		s.owed += int64(f.length - n)
		c.wrote = s.grant() || c.wrote
	}
	return s, nil
}

// strayData judges DATA on a stream that is not open; locked.
func (c *conn) strayData(f frame, n int) error {
	switch {
	case c.isIdle(f.id):
		return connError(ProtocolError, "DATA on an idle stream")
	case c.closed.peerEnded(f.id):
		c.refuse(f.id, StreamClosed)
		return c.wasted()
	case n > 0 && c.closed.underWay(f.id, f.length):
		return nil // sent before our reset arrived
	}
	return c.idleFrame()
}

// mayTake judges n bytes of content; locked.
func (s *Stream) mayTake(f frame, n int) *StreamError {
	switch {
	case s.ended:
		return &StreamError{Code: StreamClosed, Why: "DATA after the end of the stream"}
	case int64(f.length) > s.recv && !s.late(int64(f.length)):
		return &StreamError{Code: FlowControlError, Why: "more data than the stream's window"}
	case s.c.client && !s.headed:
		return malformed("content before the head of the answer")
	case s.want >= 0 && s.got+int64(n) > s.want:
		return malformed("more content than Content-Length says")
	}
	return nil
}

// late reports whether n bytes over the window are what the peer took of the larger
// window before our SETTINGS came, and sends behind its acknowledgement: a client
// with a thread for each stream may (net/http does). It has one such frame in hand
// for each, and none that goes beyond that larger window; locked.
func (s *Stream) late(n int64) bool {
	ours, over := &s.c.ours, n-max(s.recv, 0)
	if !s.early || n > s.recv+firstWindow-ours.window || over > ours.late {
		return false
	}
	s.early = false
	ours.late -= over
	return true
}

// take reads n bytes of content and gives them to s, or drops them.
func (c *conn) take(s *Stream, n int) error {
	for n > 0 {
		b, err := c.rd.some(n, c.wait)
		if err != nil {
			return cutShort(err)
		}
		n -= len(b)
		if s == nil {
			continue
		}
		c.mu.Lock()
		s.deliver(b)
		c.mu.Unlock()
		c.rd.progress() // a slow upload goes on
	}
	return nil
}

// dataEnd ends the content of s.
func (c *conn) dataEnd(s *Stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil
	}
	return c.endRemote(s)
}

// endRemote takes END_STREAM; locked.
func (c *conn) endRemote(s *Stream) error {
	if s.want >= 0 && s.got != s.want {
		return c.streamError(s, malformed("less content than Content-Length says"))
	}
	s.ended = true
	s.rcond.Broadcast()
	if s.finished {
		c.closed.addPeer(s.id)
		c.gone(s)
	}
	return nil
}
