package h2

import (
	"runtime"
	"sync"
	"time"
)

// outSize is what the buffer takes before who has more to say must wait: two
// frames of data, each as long as a TLS record.
const outSize = 32 << 10

// maxData is the content of a DATA frame that fills a TLS record.
const maxData = maxFrame - frameHead

// maxControl bounds the frames of the read loop's that wait to be written: a
// peer that asks for answers and does not read them is cut off.
const maxControl = 2000

var outBufs = sync.Pool{New: func() any { return new([outSize]byte) }}

// outbox is what is to be written. It is guarded by conn.mu.
type outbox struct {
	b        []byte
	taken    int64 // bytes that were handed to the connection before b
	control  int   // frames of the read loop's in b
	flushing bool  // someone carries b to the connection
	since    int64 // when the write under way began, in nanoseconds; 0 none
	dead     bool  // nothing more is written
	blocked  []*Stream
}

// Write appends to the buffer, for hpack.Encoder.
func (o *outbox) Write(p []byte) (int, error) {
	o.b = append(o.b, p...)
	return len(p), nil
}

// at is the position of the next byte in all that is ever written.
func (o *outbox) at() int64 { return o.taken + int64(len(o.b)) }

// need makes sure that there is a buffer.
func (o *outbox) need() {
	if o.b == nil {
		o.b = outBufs.Get().(*[outSize]byte)[:0]
	}
}

func putOut(b []byte) {
	if cap(b) == outSize { // else one grew for a long head
		outBufs.Put((*[outSize]byte)(b[:outSize]))
	}
}

// take empties the buffer for writing.
func (o *outbox) take() []byte {
	b := o.b
	o.taken += int64(len(b))
	o.b, o.control = nil, 0
	return b
}

// wakeAll lets those go on who wait for room or for the connection's window.
func (o *outbox) wakeAll() {
	for i, s := range o.blocked {
		s.listed = false
		s.wcond.Signal()
		o.blocked[i] = nil
	}
	o.blocked = o.blocked[:0]
}

// flush writes what is in the buffer, unless somebody else does; locked, but
// not while it writes. yield lets those who are about to write do so first.
func (c *conn) flush(yield bool) {
	if c.out.flushing || len(c.out.b) == 0 || c.out.dead {
		return
	}
	c.out.flushing = true
	if yield && (c.handlers > 1 || c.client && len(c.streams) > 1) {
		// Whoever is ready to run adds to the buffer and leaves it to us. With
		// nobody ready this costs less than a microsecond.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	c.carry(2)
}

// carry writes until the buffer is empty. After so many rounds it leaves the
// rest to another goroutine, since the present one has its own work.
func (c *conn) carry(rounds int) {
	for ; len(c.out.b) > 0 && !c.out.dead; rounds-- {
		if rounds == 0 {
			run(task{c: c})
			return
		}
		c.writeOut()
	}
	c.out.flushing = false
	if c.out.dead {
		c.out.b = nil
	}
	c.out.wakeAll()
	c.maybeEnd()
}

// writeOut is one write; locked, but not while it lasts.
func (c *conn) writeOut() {
	b := c.out.take()
	c.out.since = time.Now().UnixNano()
	c.mu.Unlock()
	_, err := c.nc.Write(b)
	putOut(b)
	c.mu.Lock()
	c.out.since = 0
	if err != nil {
		c.out.dead = true
		c.failLocked(err)
		c.out.b = nil
		go c.cut()
		return
	}
	c.out.wakeAll()
}

// kick has the buffer written by another goroutine; locked. The read loop must
// never write itself: two peers that both wait to write would wait for ever.
func (c *conn) kick() {
	if c.out.flushing || len(c.out.b) == 0 || c.out.dead {
		return
	}
	c.out.flushing = true
	run(task{c: c})
}

// control makes room for a frame of the read loop's; locked. It is written when
// the read loop next waits.
func (c *conn) control() {
	c.out.need()
	c.out.control++
	c.wrote = true
}
