package h2

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// readSize holds a whole frame and so does a TLS record's worth.
const readSize = 18 << 10

var readBufs = sync.Pool{New: func() any { return new([readSize]byte) }}

// reader is the bytes received and not yet taken. It holds no buffer while it
// waits for the first byte of a frame: those connections are most of all.
type reader struct {
	c     net.Conn
	first [frameHead]byte // for the read that waits
	buf   *[readSize]byte
	r, w  int // buf[r:w] is not yet taken

	// since is when something begun was first waited for, in nanoseconds of
	// time.Now; 0 when nothing is.
	since atomic.Int64
	// held: what was begun is not over with this frame.
	held bool
	err  error // of the connection, after the last bytes
}

// peek returns the next n bytes, at most a frame, and does not take them. inside
// says that they belong to something begun. wait is called before each read that
// may take time.
func (r *reader) peek(n int, inside bool, wait func()) ([]byte, error) {
	for r.w-r.r < n {
		if err := r.more(n, inside, wait); err != nil {
			return nil, err
		}
	}
	return r.buf[r.r : r.r+n], nil
}

// some returns between 1 and n bytes of something begun, and takes them.
func (r *reader) some(n int, wait func()) ([]byte, error) {
	if r.r == r.w {
		if err := r.more(1, true, wait); err != nil {
			return nil, err
		}
	}
	n = min(n, r.w-r.r)
	b := r.buf[r.r : r.r+n]
	r.r += n
	return b, nil
}

func (r *reader) skip(n int) { r.r += n }

// more reads what there is, with room for n bytes that are wanted.
func (r *reader) more(n int, inside bool, wait func()) error {
	if r.err != nil {
		return r.err
	}
	wait()
	inside = inside || r.w > r.r || r.held
	if !inside {
		return r.begin()
	}
	if r.since.Load() == 0 {
		r.since.Store(time.Now().UnixNano())
	}
	if r.buf == nil {
		r.buf, r.r, r.w = readBufs.Get().(*[readSize]byte), 0, 0
	}
	if r.r == r.w || len(r.buf)-r.r < n {
		r.w = copy(r.buf[:], r.buf[r.r:r.w])
		r.r = 0
	}
	m, err := r.c.Read(r.buf[r.w:])
	r.w += m
	return r.read(m, err)
}

// begin waits for a frame without a buffer. What more has come by then is in the
// hands of TLS, and the next read gets it without a system call.
func (r *reader) begin() error {
	r.release()
	n, err := r.c.Read(r.first[:])
	if n > 0 {
		r.buf, r.r = readBufs.Get().(*[readSize]byte), 0
		r.w = copy(r.buf[:], r.first[:n])
	}
	return r.read(n, err)
}

// read keeps an error that came with the last bytes for later.
func (r *reader) read(n int, err error) error {
	if n > 0 {
		r.err = err
		return nil
	}
	return err
}

// done says that nothing is begun any more.
func (r *reader) done() {
	if r.held {
		return
	}
	r.progress()
}

// progress starts the time of what was begun anew.
func (r *reader) progress() {
	if r.since.Load() != 0 {
		r.since.Store(0)
	}
}

func (r *reader) release() {
	if r.buf != nil {
		readBufs.Put(r.buf)
		r.buf, r.r, r.w = nil, 0, 0
	}
}
