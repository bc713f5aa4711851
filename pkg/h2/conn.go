package h2

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"
)

// conn is a connection in either role.
type conn struct {
	nc     net.Conn
	cfg    Config
	client bool
	handle func(*Stream) // server
	wait   func()        // beforeRead, bound once

	// Of the read loop alone.
	rd      reader
	dec     *hpack.Decoder
	in      fieldBlock // the head being decoded
	calm    bucket     // see guard.go
	resets  bucket
	sent    atomic.Int64 // tokens for calm that were earned by sending
	wrote   bool         // the read loop has put frames into the buffer
	refusal string       // why the head at hand opens no stream

	mu      sync.Mutex
	streams map[uint32]*Stream // open or half-closed
	peak    int                // the most there were at once
	lastID  uint32             // the highest stream that was opened
	err     error              // why the connection ended; nil while it lives
	closed  closedStreams
	ours    ourSettings
	peer    peerSettings
	going   going
	idle    time.Time // since when there has been no stream
	timer   *time.Timer

	handlers int           // server: that run
	waiting  []*Stream     // server: that wait for a handler to end
	over     sync.Cond     // all handlers have ended, or the last write has
	greeted  chan struct{} // client: closed when the server's SETTINGS have come
	ended    chan struct{} // client: closed when the connection has ended

	flow  connFlow
	out   outbox
	hp    *hpack.Encoder
	hide  string // the field of the head being encoded that no table may keep
	grown int64  // of growth, what streams have taken
}

// going is how far the connection's planned end has come.
type going struct {
	away   bool   // GOAWAY was sent or, on a client, received: no new streams
	final  bool   // server: last is final
	last   uint32 // the last stream that is or was served
	pinged bool   // server: the PING behind the first GOAWAY is on its way
	err    error  // client: what the server's GOAWAY said
}

func (c *conn) init(nc net.Conn, cfg Config, client bool) {
	c.nc, c.cfg, c.client = nc, cfg, client
	c.rd.c = nc
	c.wait = c.beforeRead
	c.dec = hpack.NewDecoder(tableSize, c.field)
	c.hp = hpack.NewEncoder(&c.out)
	c.over.L = &c.mu
	c.idle = time.Now()
	c.flow.init()
	c.peer.init()
	c.calm = bucket{level: calmBurst, burst: calmBurst, rate: calmRate, last: c.idle}
	c.resets = bucket{level: resetBurst, burst: resetBurst, rate: resetRate, last: c.idle}
	c.rd.since.Store(c.idle.UnixNano()) // the preface and SETTINGS are awaited
	c.mu.Lock()
	c.timer = time.AfterFunc(c.tick(), c.watch)
	c.mu.Unlock()
}

// beforeRead sees to it that what the read loop has to say is sent before it
// waits.
func (c *conn) beforeRead() {
	if !c.wrote {
		return
	}
	c.wrote = false
	c.mu.Lock()
	c.kick()
	c.mu.Unlock()
}

// fail ends the connection and all its streams at once.
func (c *conn) fail(err error) {
	c.mu.Lock()
	c.failLocked(err)
	c.out.dead = true
	c.mu.Unlock()
	c.cut()
}

// failLocked ends all streams. The connection itself is not yet closed.
func (c *conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	if c.ended != nil {
		close(c.ended)
	}
	streams := c.streams
	c.streams = nil
	for _, s := range streams {
		s.fail(c.whyFor(s, err))
	}
	c.waiting = nil
	if c.client {
		c.out.b = c.out.b[:0] // a request in it was said not to be sent
	}
	c.out.wakeAll()
}

// whyFor is err as it concerns a stream: a request that is still in the buffer
// was not sent.
func (c *conn) whyFor(s *Stream, err error) error {
	var ce *ConnError
	switch {
	case c.client && s.headAt >= c.out.taken:
		return &notSent{err}
	case c.client && errors.As(err, &ce) && ce.Remote && s.id > c.going.last:
		return &StreamError{Remote: true, unprocessed: true}
	}
	return err
}

// cut closes the connection without TLS's last alert, which could wait for a
// peer that does not read.
func (c *conn) cut() {
	if t, ok := c.nc.(interface{ NetConn() net.Conn }); ok {
		t.NetConn().Close()
	}
	c.nc.Close()
}

// gone takes a stream that is closed on both sides off the connection; locked.
func (c *conn) gone(s *Stream) {
	if c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	if len(c.streams) > 0 {
		return
	}
	if c.peak > 32 {
		c.streams, c.peak = nil, 0 // a map never shrinks
	}
	c.idle = time.Now()
	c.maybeEnd()
}

func (c *conn) add(s *Stream) {
	if c.streams == nil {
		c.streams = make(map[uint32]*Stream)
	}
	c.streams[s.id] = s
	c.peak = max(c.peak, len(c.streams))
}

// closedStreams remembers how the latest streams ended, since the same frame is
// an error after one end and on its way after another (RFC 9113 §5.1).
type closedStreams struct {
	byPeer [16]uint32 // ended by the peer's END_STREAM or RST_STREAM
	byUs   []resetStream
	p, u   int
}

// resetStream is a stream that this side reset. Content within the window that
// it left open may still be under way.
type resetStream struct {
	id   uint32
	left int64
}

const byUs = 256

func (cs *closedStreams) addPeer(id uint32) {
	cs.byPeer[cs.p%len(cs.byPeer)] = id
	cs.p++
}

func (cs *closedStreams) addUs(id uint32, left int64) {
	if len(cs.byUs) < byUs {
		cs.byUs = append(cs.byUs, resetStream{id, left})
		return
	}
	cs.byUs[cs.u%byUs] = resetStream{id, left}
	cs.u++
}

func (cs *closedStreams) peerEnded(id uint32) bool { return slices.Contains(cs.byPeer[:], id) }
func (cs *closedStreams) weReset(id uint32) bool   { return cs.find(id) != nil }

func (cs *closedStreams) find(id uint32) *resetStream {
	for i := range cs.byUs {
		if cs.byUs[i].id == id {
			return &cs.byUs[i]
		}
	}
	return nil
}

// underWay reports whether n bytes on a stream that was reset may have been sent
// before the peer knew.
func (cs *closedStreams) underWay(id uint32, n int) bool {
	r := cs.find(id)
	if r == nil || r.left < int64(n) {
		return false
	}
	r.left -= int64(n)
	return true
}
