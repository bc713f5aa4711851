package h2

import (
	"errors"
	"os"
	"sync"
	"time"

	"bottle/pkg/http1"
)

// Stream is one request and its answer. One goroutine may read and another write
// at the same time; deadlines, Reset and OnGone are for any goroutine at any
// time, also after the stream has ended. Times out of a deadline are
// os.ErrDeadlineExceeded, and the stream goes on.
type Stream struct {
	c    *conn
	id   uint32
	head Head // server: of the request

	// All below is guarded by conn.mu.
	rcond, wcond sync.Cond // what Read and ReadHead, and Write wait for
	rd, wr       deadline
	err          error // why it was reset or cut; nil while it lives
	onGone       func(error)

	ended    bool // END_STREAM was received
	finished bool // END_STREAM was sent
	headed   bool // client: the final head was received
	begun    bool // server: the final head was sent
	bare     bool // the answer has no content: to HEAD, or 204, 304
	tunnel   bool // client: a CONNECT
	over     bool // server: the handler has returned; client: Close was called
	listed   bool // it is among outbox.blocked

	heads   []Head // client: received and not yet read
	one     [1]Head
	in      content
	trailer http1.Header
	want    int64 // content that the peer's Content-Length announced; -1 not known
	got     int64 // content received

	recv   int64 // what the peer may send
	window int64 // recv, what is in in, and owed together
	owed   int64 // what was read and is not yet given back
	growth int64 // what of window is beyond its first size
	early  bool  // it was there before the peer acknowledged our SETTINGS
	send   int64 // what may be sent

	headAt int64 // client: where in all that is written the request begins
	tailAt int64 // where its last HEADERS or DATA begins
}

var (
	errOver     = errors.New("the stream was closed")
	errNoAnswer = errors.New("no answer was begun")
	errTwice    = errors.New("an answer was begun before")
)

// newStream makes a stream; locked.
func (c *conn) newStream(id uint32) *Stream {
	s := &Stream{c: c, id: id, want: -1, tailAt: -1}
	s.windows()
	s.rcond.L, s.wcond.L = &c.mu, &c.mu
	s.heads = s.one[:0]
	return s
}

// windows sets the first windows of a stream; locked.
func (s *Stream) windows() {
	s.send, s.window, s.recv = s.c.peer.window, s.c.ours.window, firstWindow
	if s.c.ours.acked {
		s.recv = s.window
	}
}

// Head is the request's head, on a server.
func (s *Stream) Head() Head { return s.head }

// ID is the stream's number (RFC 9113 §5.1.1).
func (s *Stream) ID() uint32 { return s.id }

// deadline bounds what waits on one condition.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// await waits until cond may hold; locked, but not while it waits.
func (s *Stream) await(cond *sync.Cond, d *deadline) error {
	if d.at.IsZero() {
		cond.Wait()
		return nil
	}
	left := time.Until(d.at)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(left, func() {
			s.c.mu.Lock()
			cond.Broadcast()
			s.c.mu.Unlock()
		})
	} else {
		d.timer.Reset(left)
	}
	cond.Wait()
	d.timer.Stop()
	return nil
}

// SetReadDeadline bounds Read and ReadHead, also those under way; the zero time
// lets them wait for ever. One in the past wakes them at once.
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.c.mu.Lock()
	s.rd.at = t
	s.rcond.Broadcast()
	s.c.mu.Unlock()
	return nil
}

// SetWriteDeadline bounds what waits for the peer's window or for room in the
// connection's buffer, as SetReadDeadline does. It does not interrupt a write
// to the connection, which Config.Stall bounds.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.c.mu.Lock()
	s.wr.at = t
	s.wcond.Broadcast()
	s.c.mu.Unlock()
	return nil
}

// SetDeadline is both.
func (s *Stream) SetDeadline(t time.Time) error {
	s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// OnGone has f called, on a goroutine of its own and at most once, when the
// stream is reset by the peer or for what the peer sent, or the connection ends,
// before the handler has returned or Close was called; at once when that has
// happened. It may come as late as just after. nil takes f back.
func (s *Stream) OnGone(f func(error)) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.over || f == nil:
		s.onGone = nil
	case s.err != nil:
		go f(s.err)
	default:
		s.onGone = f
	}
}

// Err is why the stream was reset or cut, nil when it was not.
func (s *Stream) Err() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.err
}

// Reset ends the stream at once where it is not at its end: what waits in Read
// or Write returns, and the peer is told behind what was written before. It waits
// for nothing, and so not for a peer that does not read.
func (s *Stream) Reset(code Code) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.abandon(code)
	s.c.kick()
}

// Close ends a client's stream, which its opener must call: a stream that has
// not ended is reset with CANCEL. Content that was not read is dropped.
func (s *Stream) Close() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.onGone = nil
	s.abandon(Cancel)
	s.drop()
	s.c.flush(true)
	return nil
}

// abandon resets a stream that is not at its end; locked.
func (s *Stream) abandon(code Code) {
	if s.err != nil || s.ended && s.finished {
		return
	}
	s.onGone = nil
	s.c.closed.addUs(s.id, s.recv)
	if !s.c.out.dead {
		s.c.out.need()
		s.c.out.b = appendReset(s.c.out.b, s.id, code)
	}
	s.fail(&StreamError{Code: code})
	s.c.gone(s)
}

// fail ends the stream with err; locked. The caller takes it off the connection.
func (s *Stream) fail(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	s.rcond.Broadcast()
	s.wcond.Broadcast()
	if !s.ended {
		s.in.free()
		s.ungrow()
	}
	if s.onGone != nil {
		go s.onGone(err)
		s.onGone = nil
	}
}

// drop frees what was not read; locked.
func (s *Stream) drop() {
	s.over = true
	s.in.free()
	s.ungrow()
	s.rcond.Broadcast()
}
