package h2

import (
	"encoding/binary"
	"errors"
	"io"
)

// readFrames takes frames until the connection ends. The error is io.EOF where
// the peer closed it between two frames.
func (c *conn) readFrames() error {
	if err := c.readFirst(); err != nil {
		return err
	}
	for {
		f, err := c.readFrame()
		if err != nil {
			return err
		}
		if err := c.dispatch(f); err != nil {
			return err
		}
		c.rd.done()
	}
}

// readFirst takes the preface and SETTINGS, which come before all else (RFC 9113
// §3.4).
func (c *conn) readFirst() error {
	c.rd.held = true
	if !c.client {
		for n := 1; n <= len(preface); n++ { // judged byte by byte: who speaks HTTP/1.1 may wait
			b, err := c.rd.peek(n, true, c.wait)
			if err != nil {
				return err
			}
			if b[n-1] != preface[n-1] {
				return connError(ProtocolError, "no HTTP/2 preface")
			}
		}
		c.rd.skip(len(preface))
	}
	f, err := c.readFrame()
	if err != nil {
		return err
	}
	if f.typ != typeSettings || f.has(flagAck) {
		return connError(ProtocolError, "the first frame is not SETTINGS")
	}
	if err := c.dispatch(f); err != nil {
		return err
	}
	c.rd.held = false
	c.rd.done()
	return nil
}

// readFrame takes a frame's header.
func (c *conn) readFrame() (frame, error) {
	b, err := c.rd.peek(frameHead, false, c.wait)
	if err != nil {
		if err == io.EOF && c.rd.w > c.rd.r {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	f := parseFrame(b)
	c.rd.skip(frameHead)
	if f.length > maxFrame {
		return f, connError(FrameSizeError, "a frame longer than SETTINGS_MAX_FRAME_SIZE")
	}
	return f, nil
}

// content takes a frame's content, valid until the next is read.
func (c *conn) content(f frame) ([]byte, error) {
	b, err := c.rd.peek(f.length, true, c.wait)
	if err != nil {
		return nil, cutShort(err)
	}
	c.rd.skip(f.length)
	return b, nil
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// dispatch takes the frame whose header was read.
func (c *conn) dispatch(f frame) error {
	if f.typ == typeData {
		return c.data(f)
	}
	b, err := c.content(f)
	if err != nil {
		return err
	}
	switch f.typ {
	case typeHeaders:
		return c.headers(f, b)
	case typeContinuation:
		return connError(ProtocolError, "CONTINUATION without HEADERS")
	case typePush:
		// Neither role may be sent one: a client has said so (RFC 9113 §8.4).
		return connError(ProtocolError, "PUSH_PROMISE")
	}
	if err := c.idleFrame(); err != nil {
		return err
	}
	switch f.typ {
	case typePriority:
		return c.priority(f, b)
	case typeReset:
		return c.reset(f, b)
	case typeSettings:
		return c.settings(f, b)
	case typePing:
		return c.ping(f, b)
	case typeGoAway:
		return c.goAway(f, b)
	case typeWindow:
		return c.windowUpdate(f, b)
	}
	return nil // RFC 9113 §5.5: others are ignored
}

// isIdle reports a stream that was never opened; locked.
func (c *conn) isIdle(id uint32) bool { return id > c.lastID || id%2 == 0 }

// priority checks PRIORITY and does nothing with it (RFC 9113 §5.3.2).
func (c *conn) priority(f frame, b []byte) error {
	switch {
	case f.id == 0:
		return connError(ProtocolError, "PRIORITY on no stream")
	case len(b) != 5 && f.id%2 == 1:
		return c.reject(f.id, &StreamError{Code: FrameSizeError, Why: "a PRIORITY not 5 bytes long"})
	case len(b) != 5:
		return connError(FrameSizeError, "a PRIORITY not 5 bytes long")
	case binary.BigEndian.Uint32(b)&maxWindow == f.id:
		return c.reject(f.id, malformed("a stream that depends on itself"))
	}
	return nil
}

// reject resets a stream for a frame that may come in any state.
func (c *conn) reject(id uint32, e *StreamError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil {
		return c.streamError(s, e)
	}
	if c.isIdle(id) || e.Code == FrameSizeError { // RFC 9113 §6.3 knows no state that excuses a wrong size
		return connError(e.Code, e.Why)
	}
	return nil
}

// reset takes RST_STREAM (RFC 9113 §6.4).
func (c *conn) reset(f frame, b []byte) error {
	if f.id == 0 {
		return connError(ProtocolError, "RST_STREAM on no stream")
	}
	if len(b) != 4 {
		return connError(FrameSizeError, "an RST_STREAM not 4 bytes long")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[f.id]
	if s == nil {
		if c.isIdle(f.id) {
			return connError(ProtocolError, "RST_STREAM on an idle stream")
		}
		return nil
	}
	c.closed.addPeer(f.id)
	s.fail(&StreamError{Code: Code(binary.BigEndian.Uint32(b)), Remote: true})
	c.gone(s)
	if c.client {
		return nil
	}
	return c.wasted()
}

// ping takes PING (RFC 9113 §6.7).
func (c *conn) ping(f frame, b []byte) error {
	if f.id != 0 {
		return connError(ProtocolError, "PING on a stream")
	}
	if len(b) != 8 {
		return connError(FrameSizeError, "a PING not 8 bytes long")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.has(flagAck) {
		if c.going.pinged {
			c.lastGoAway()
		}
		return nil
	}
	if c.out.dead {
		return nil
	}
	c.control()
	c.out.b = appendPing(c.out.b, flagAck, [8]byte(b))
	return c.answered()
}

// goAway takes GOAWAY (RFC 9113 §6.8). To a server it says nothing that it must
// act on: the client closes the connection when it is done.
func (c *conn) goAway(f frame, b []byte) error {
	if f.id != 0 {
		return connError(ProtocolError, "GOAWAY on a stream")
	}
	if len(b) < 8 {
		return connError(FrameSizeError, "a GOAWAY shorter than 8 bytes")
	}
	if !c.client {
		return nil
	}
	last, code := binary.BigEndian.Uint32(b)&maxWindow, Code(binary.BigEndian.Uint32(b[4:]))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.going.away, c.going.last = true, last
	for id, s := range c.streams {
		if id > last {
			s.fail(&StreamError{Code: code, Remote: true, unprocessed: true})
			c.gone(s)
		}
	}
	if code != NoError {
		c.going.err = &ConnError{Code: code, Remote: true}
	}
	c.maybeEnd()
	return nil
}

// streamError resets a stream for what the peer sent; locked.
func (c *conn) streamError(s *Stream, e *StreamError) error {
	c.refuse(s.id, e.Code)
	s.fail(e)
	c.gone(s)
	if err := c.wasted(); err != nil {
		return err
	}
	return c.answered()
}

// refuse puts an RST_STREAM of the read loop's into the buffer; locked.
func (c *conn) refuse(id uint32, code Code) {
	c.closed.addUs(id, 0)
	if c.out.dead {
		return
	}
	c.control()
	c.out.b = appendReset(c.out.b, id, code)
}

// quiet reports an end of the connection that is no fault.
func quiet(err error) bool { return err == io.EOF || errors.Is(err, ErrClosed) }
