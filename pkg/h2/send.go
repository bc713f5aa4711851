package h2

import (
	"os"

	"bottle/pkg/http1"
)

// Interim sends, on a server, an informational answer (1xx but 101) at once.
func (s *Stream) Interim(status int, h http1.Header) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.begun {
		return errTwice
	}
	if err := s.room(0); err != nil {
		return err
	}
	s.c.encodeAnswer(s.id, status, h, 0)
	s.c.flush(true)
	return nil
}

// Respond begins, on a server, the answer. With end it has no content and is
// sent at once; otherwise it is sent with the first Flush or End, or when what
// is written does not fit beside it. Fields that belong to an HTTP/1.1
// connection, and those that are not valid, are left out. Content after a HEAD's
// answer, a 204 or a 304 is taken and dropped.
func (s *Stream) Respond(status int, h http1.Header, end bool) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.begun {
		return errTwice
	}
	if err := s.room(0); err != nil {
		return err
	}
	s.begun = true
	s.bare = s.bare || status == 204 || status == 304
	s.tailAt = s.c.out.at()
	s.c.encodeAnswer(s.id, status, h, 0)
	if end {
		s.end()
	}
	return nil
}

// Write puts content into the connection's buffer. It waits while the peer's
// windows or the buffer are full.
func (s *Stream) Write(p []byte) (int, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.c.client && !s.begun {
		return 0, errNoAnswer
	}
	if s.bare && !s.c.client {
		return len(p), s.writable()
	}
	sent := 0
	for sent < len(p) {
		if err := s.awaitWindow(); err != nil {
			return sent, err
		}
		if err := s.room(1 << 10); err != nil {
			return sent, err
		}
		sent += s.data(p[sent:])
	}
	return sent, s.writable()
}

// awaitWindow waits until both windows take a byte; locked.
func (s *Stream) awaitWindow() error {
	for {
		if err := s.writable(); err != nil {
			return err
		}
		if s.send > 0 && s.c.flow.send > 0 {
			return nil
		}
		s.c.flush(false) // or the peer might have no reason to give more
		if s.send > 0 && s.c.flow.send > 0 {
			continue
		}
		if err := s.block(); err != nil {
			return err
		}
	}
}

// room waits until the buffer takes a frame of n bytes; locked.
func (s *Stream) room(n int) error {
	for {
		if err := s.writable(); err != nil {
			return err
		}
		if len(s.c.out.b)+frameHead+n <= outSize {
			return nil
		}
		if !s.c.out.flushing {
			s.c.flush(false)
			continue
		}
		if err := s.block(); err != nil {
			return err
		}
	}
}

// block waits for the connection or the stream to take more; locked.
func (s *Stream) block() error {
	if err := s.writable(); err != nil {
		return err
	}
	if !s.listed {
		s.listed = true
		s.c.out.blocked = append(s.c.out.blocked, s)
	}
	return s.await(&s.wcond, &s.wr)
}

// writable is why nothing can be written; locked.
func (s *Stream) writable() error {
	switch {
	case s.err != nil:
		return s.err
	case s.finished || s.over:
		return errOver
	case s.wr.passed():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// data puts as much of p into the buffer as windows and room allow; locked.
func (s *Stream) data(p []byte) int {
	o := &s.c.out
	o.need()
	n := min(len(p), maxData, int(min(s.send, s.c.flow.send)), outSize-len(o.b)-frameHead)
	if n <= 0 {
		return 0 // while room waited, the window went to others
	}
	s.tailAt = o.at()
	o.b = append(appendFrame(o.b, n, typeData, 0, s.id), p[:n]...)
	s.c.earnData(n, int64(n) < min(s.send, s.c.flow.send))
	s.send -= int64(n)
	s.c.flow.send -= int64(n)
	return n
}

// Flush sends what was written, if nobody else is about to.
func (s *Stream) Flush() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.flush(true)
	return s.err
}

// End ends what this side sends and flushes it, with a trailer section if there
// are fields in it. A server's handler that returns without it has its stream
// reset, so that the client sees a cut answer.
func (s *Stream) End(trailer http1.Header) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if !s.c.client && !s.begun {
		return errNoAnswer
	}
	if err := s.room(0); err != nil {
		return err
	}
	if len(trailer) > 0 && !(s.bare && !s.c.client) {
		s.tailAt = s.c.out.at()
		s.c.encodeTrailer(s.id, trailer)
	}
	s.end()
	return nil
}

// end marks the stream's last frame, or adds one where that is gone; locked.
func (s *Stream) end() {
	o := &s.c.out
	if s.tailAt >= o.taken && s.tailAt >= 0 {
		o.b[s.tailAt-o.taken+4] |= flagEndStream
	} else {
		o.need()
		o.b = appendFrame(o.b, 0, typeData, flagEndStream, s.id)
	}
	s.finished = true
	if s.ended {
		s.c.closed.addPeer(s.id)
		s.c.gone(s)
	}
	s.c.flush(true)
}
