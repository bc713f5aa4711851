package h2

// fromClient takes a head that a client sent.
func (c *conn) fromClient(f frame) error {
	c.mu.Lock()
	s := c.streams[f.id]
	var err error
	switch {
	case s != nil:
		err = c.trailers(s, f)
	case f.id <= c.lastID:
		if err = c.strayHead(f.id); err == nil {
			err = c.idleFrame()
		}
	default:
		c.refusal = ""
		s, err = c.opened(f)
		c.mu.Unlock()
		if s != nil {
			run(task{c, s})
		}
		if c.refusal != "" && c.cfg.Refused != nil {
			c.cfg.Refused(c.refusal)
		}
		return err
	}
	c.mu.Unlock()
	return err
}

// strayHead judges HEADERS on a stream that is not open any more; locked.
func (c *conn) strayHead(id uint32) error {
	switch {
	case c.closed.peerEnded(id):
		return connError(StreamClosed, "HEADERS after the end of the stream")
	case c.closed.weReset(id):
		return nil // sent before our reset arrived
	case c.client:
		return nil
	}
	return connError(ProtocolError, "a stream's number is lower than one before")
}

// opened opens a stream of the client's; locked. It returns the stream when its
// handler is to run now.
func (c *conn) opened(f frame) (*Stream, error) {
	if c.err != nil || c.going.final && f.id > c.going.last {
		return nil, c.idleFrame() // RFC 9113 §6.8: ignored, the client knows
	}
	c.lastID = f.id
	c.calm.earn(calmHead)
	if uint32(len(c.streams)) >= c.cfg.MaxStreams {
		c.refuse(f.id, RefusedStream)
		return nil, c.wasted()
	}
	if c.in.tooLong() {
		c.tooLong(f)
		return nil, c.wasted()
	}
	if e := c.in.request(c.cfg.Extended); e != nil {
		return nil, c.refused(f.id, e)
	}
	s := c.newStream(f.id)
	s.head = c.in.Head
	s.head.Header = c.in.take()
	s.want = c.in.length
	s.head.Length = c.in.length
	s.bare = s.head.Method == "HEAD"
	if s.head.Method == "CONNECT" {
		s.want, s.head.Length = -1, -1
	}
	if f.has(flagEndStream) {
		if s.want > 0 {
			return nil, c.refused(f.id, malformed("content announced, and none there"))
		}
		s.head.Length, s.ended = 0, true
	}
	c.add(s)
	return c.start(s)
}

// refused resets a stream that is not opened; locked.
func (c *conn) refused(id uint32, e *StreamError) error {
	c.refusal = e.Why
	c.refuse(id, e.Code)
	if err := c.wasted(); err != nil {
		return err
	}
	return c.answered()
}

// start decides whether a new stream's handler runs now; locked. The peer counts
// a stream as closed before its handler has returned, so some may wait.
func (c *conn) start(s *Stream) (*Stream, error) {
	if uint32(c.handlers) < c.cfg.MaxStreams {
		c.handlers++
		return s, nil
	}
	if uint32(len(c.waiting)) >= c.cfg.MaxStreams {
		return nil, connError(EnhanceYourCalm, "too many streams begun and not let finish")
	}
	c.waiting = append(c.waiting, s)
	return nil, nil
}

// tooLong answers a head over the limits, as HTTP/1.1 would be; locked.
func (c *conn) tooLong(f frame) {
	c.refusal = "the request's head is too long"
	c.closed.addUs(f.id, 0)
	if c.out.dead {
		return
	}
	c.control()
	c.encodeTooLong(f.id)
	if !f.has(flagEndStream) {
		c.out.b = appendReset(c.out.b, f.id, NoError)
	}
}

// trailers takes a head on a stream that has one; locked.
func (c *conn) trailers(s *Stream, f frame) error {
	switch {
	case s.ended:
		return c.streamError(s, &StreamError{Code: StreamClosed, Why: "HEADERS after the end of the stream"})
	case !f.has(flagEndStream):
		return c.streamError(s, malformed("a second head"))
	case c.in.tooLong():
		return c.streamError(s, &StreamError{Code: EnhanceYourCalm, Why: "a trailer section too long"})
	}
	if e := c.in.trailer(); e != nil {
		return c.streamError(s, e)
	}
	err := c.endRemote(s)
	if s.ended {
		s.trailer = c.in.takeTrailer()
	}
	return err
}

// fromServer takes a head that a server sent.
func (c *conn) fromServer(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[f.id]
	switch {
	case s == nil && c.isIdle(f.id):
		return connError(ProtocolError, "HEADERS on an idle stream")
	case s == nil:
		if err := c.strayHead(f.id); err != nil {
			return err
		}
		return c.idleFrame()
	case s.headed:
		return c.trailers(s, f)
	case c.in.tooLong():
		return c.streamError(s, &StreamError{Code: EnhanceYourCalm, Why: "the answer's head is too long"})
	}
	if e := c.in.response(); e != nil {
		return c.streamError(s, e)
	}
	return c.answer(s, f)
}

// maxInterim bounds the interim answers that wait to be read.
const maxInterim = 32

// answer takes the head of an answer, interim or final; locked.
func (c *conn) answer(s *Stream, f frame) error {
	h := c.in.Head
	h.Header, h.Length = c.in.take(), c.in.length
	if h.Status < 200 {
		if f.has(flagEndStream) {
			return c.streamError(s, malformed("an interim answer that ends the stream"))
		}
		if len(s.heads) == maxInterim {
			return c.streamError(s, &StreamError{Code: EnhanceYourCalm, Why: "too many interim answers"})
		}
		s.heads = append(s.heads, h)
		s.rcond.Broadcast()
		return c.idleFrame()
	}
	c.calm.earn(calmHead)
	s.headed = true
	s.want = c.in.length
	if s.bare || h.Status == 204 || h.Status == 304 {
		s.want, h.Length = 0, 0 // RFC 9110 §6.4.1: Content-Length is of another answer
	}
	if s.tunnel && h.Status < 300 {
		s.want, h.Length = -1, -1
	}
	if f.has(flagEndStream) {
		if s.want > 0 {
			return c.streamError(s, malformed("content announced, and none there"))
		}
		h.Length = 0
	}
	s.heads = append(s.heads, h)
	if f.has(flagEndStream) {
		return c.endRemote(s)
	}
	s.rcond.Broadcast()
	return nil
}
