package proxy

import (
	"bufio"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is the connection below the TLS of either leg. crypto/tls reads and
// writes one record at a time; in bulk a socket reads several of them ahead and
// gathers several for one write. It can also be read without waiting.
//
// One goroutine reads at a time; writes may come from several.
type socket struct {
	net.Conn
	agent *agentConn // on the agent's leg

	// Reading.
	early   []byte  // what comes before the connection's own
	bulk    bool    // read ahead
	ahead   *[]byte // what was read ahead is (*ahead)[r:w]; nil when that is nothing
	r, w    int
	rc      syscall.RawConn // nil where the connection is no socket
	probing bool            // do not wait
	probe   struct {
		p   []byte
		n   int
		err error
	}

	// Writing.
	mu     sync.Mutex
	corked bool
	last   bool    // the deadline of writes stays
	out    *[]byte // what was gathered; nil when that is nothing
}

func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		s.rc, _ = sc.SyscallConn()
	}
	return s
}

// bulkSize is what is read or written at once in bulk: four full TLS records.
const bulkSize = 64 << 10

// bulks are the buffers for bulk on its way. One is held only while bytes move.
var bulks = sync.Pool{New: func() any { b := make([]byte, 0, bulkSize+1<<10); return &b }}

// Read reads from the connection or what was read ahead of it.
func (s *socket) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	s.early = nil
	if s.ahead != nil {
		return s.take(p), nil
	}
	if s.probing {
		return s.readNow(p)
	}
	if !s.bulk {
		return s.Conn.Read(p)
	}
	if s.rc == nil {
		return s.Conn.Read(p)
	}
	n, err := s.readBulk()
	if n == 0 {
		return 0, err
	}
	return s.take(p), nil
}

// readBulk waits without a buffer, and reads into one what has come.
func (s *socket) readBulk() (n int, err error) {
	var failed error
	err = s.rc.Read(func(fd uintptr) bool {
		buf := bulks.Get().(*[]byte)
		n, failed = unix.Read(int(fd), (*buf)[:bulkSize])
		if n > 0 {
			s.ahead, s.r, s.w = buf, 0, n
			return true
		}
		bulks.Put(buf)
		n = 0
		return failed != unix.EAGAIN && failed != unix.EINTR
	})
	switch {
	case n > 0:
		return n, nil
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	}
	return 0, io.EOF
}

func (s *socket) take(p []byte) int {
	n := copy(p, (*s.ahead)[s.r:s.w])
	if s.r += n; s.r == s.w {
		bulks.Put(s.ahead)
		s.ahead = nil
	}
	return n
}

// recordReady tells whether a whole TLS record of some size is there, read
// ahead (RFC 8446 §5.1: type, version, length). Small ones may be tickets, which
// carry no content.
func (s *socket) recordReady() bool {
	const header, small = 5, 1 << 10
	if s.ahead == nil || s.w-s.r < header {
		return false
	}
	b := (*s.ahead)[s.r:s.w]
	size := int(b[3])<<8 | int(b[4])
	return size > small && header+size <= len(b)
}

// errNothing says that a read would have waited. To crypto/tls it is a time-out,
// after which the connection goes on.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// readNow reads what the kernel has, without waiting.
func (s *socket) readNow(p []byte) (int, error) {
	if s.rc == nil {
		return 0, net.ErrClosed
	}
	s.probe.p, s.probe.n, s.probe.err = p, 0, nil
	err := s.rc.Read(s.tryRead)
	s.probe.p = nil
	if err == nil {
		err = s.probe.err
	}
	return s.probe.n, err
}

func (s *socket) tryRead(fd uintptr) bool {
	n, err := unix.Read(int(fd), s.probe.p)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		s.probe.err = errNothing
	case err != nil:
		s.probe.err = err
	case n == 0:
		s.probe.err = net.ErrClosed
	default:
		s.probe.n = n
	}
	return true
}

// silent tells whether the connection is open and br, which reads from it, has
// nothing to give: not one byte was sent unasked.
func (s *socket) silent(br *bufio.Reader) bool {
	if s.ahead != nil || br.Buffered() > 0 {
		return false
	}
	s.probing = true
	_, err := br.Peek(1)
	s.probing = false
	return err == errNothing
}

// cork gathers what is written until uncork.
func (s *socket) cork() {
	s.mu.Lock()
	s.corked = true
	s.mu.Unlock()
}

// uncork writes what was gathered.
func (s *socket) uncork() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	return s.writeOut()
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.corked {
		return s.Conn.Write(p)
	}
	if s.out == nil {
		s.out = bulks.Get().(*[]byte)
		*s.out = (*s.out)[:0]
	}
	if len(*s.out)+len(p) > cap(*s.out) {
		if err := s.writeOut(); err != nil {
			return 0, err
		}
		return s.Conn.Write(p)
	}
	*s.out = append(*s.out, p...)
	return len(p), nil
}

func (s *socket) writeOut() error {
	if s.out == nil {
		return nil
	}
	_, err := s.Conn.Write(*s.out)
	bulks.Put(s.out)
	s.out = nil
	return err
}

// hurry gives what is still written so long and no longer, whatever deadline
// crypto/tls sets for its last alert.
func (s *socket) hurry(d time.Duration) {
	s.Conn.SetWriteDeadline(time.Now().Add(d))
	s.mu.Lock()
	s.last = true
	s.mu.Unlock()
}

// SetWriteDeadline is the connection's, until hurry.
func (s *socket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last {
		return nil
	}
	return s.Conn.SetWriteDeadline(t)
}

// CloseWrite says that no more will come, where the connection knows how.
func (s *socket) CloseWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return s.Conn.Close()
}
