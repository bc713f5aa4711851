package proxy

import (
	"bufio"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// upConn is a connection to an origin.
type upConn struct {
	net.Conn
	sock  *socket // below TLS
	br    *bufio.Reader
	bw    *bufio.Writer
	key   string
	proto string
	last  bool      // no further request may follow
	plain bool      // to the second proxy itself, which is told the whole URL
	due   time.Time // the deadline of reads, where it is known
	since time.Time // when it became idle
}

func (u *upConn) buffers() {
	u.br, u.bw = getReader(u.Conn), getWriter(u.Conn)
}

func (u *upConn) noBuffers() {
	putReader(u.br)
	putWriter(u.bw)
	u.br, u.bw = nil, nil
}

// Close cuts the connection. Any goroutine may call it.
func (u *upConn) Close() error { return u.sock.Conn.Close() }

// pool keeps connections to origins between requests.
type pool struct {
	most  int // idle connections in all; they must leave slots to others
	mu    sync.Mutex
	hosts map[string]*idleConns
	n     int
}

// idleConns are the connections to one destination; their number may be 0.
type idleConns struct{ list []*upConn }

const (
	idlePerHost = 128
	idleInAll   = 512
	// idleFor is below the keep-alive times of common servers but for Node's
	// five seconds; silent finds those that ended meanwhile.
	idleFor = 30 * time.Second
)

// get returns a connection to the exchange's destination, used or new. A
// WebSocket gets a new one.
func (p *pool) get(x *exchange, fresh bool) (*upConn, error) {
	if u := x.fresh; u != nil {
		x.fresh = nil
		u.buffers()
		return u, nil
	}
	for !fresh {
		u := p.take(x.dest)
		if u == nil {
			break
		}
		u.buffers()
		if u.sock.silent(u.br) {
			return u, nil
		}
		u.finish()
	}
	ctx, done := x.context()
	defer done()
	key := string(appendKey(nil, x.dest))
	var u *upConn
	var err error
	if x.p.Upstream != nil && x.dest.scheme == "http" && !fresh {
		u, err = x.p.dial.plain(ctx, x.dest, key)
	} else {
		u, err = x.p.dial.dial(ctx, x.dest, key, false)
	}
	if err != nil {
		return nil, err
	}
	u.buffers()
	return u, nil
}

// finish ends a connection that nobody else uses any more.
func (u *upConn) finish() {
	u.Close()
	u.noBuffers()
}

// appendKey adds the name of a destination; connections to it can stand in for
// one another.
func appendKey(dst []byte, dest target) []byte {
	dst = append(dst, dest.scheme...)
	dst = append(append(dst, ' '), dest.host...)
	return strconv.AppendInt(append(dst, ' '), int64(dest.port), 10)
}

// take takes out the youngest connection, the likeliest to be alive.
func (p *pool) take(dest target) *upConn {
	var room [300]byte // longer than any: no allocation
	key := appendKey(room[:0], dest)
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[string(key)]
	if h == nil || len(h.list) == 0 {
		return nil
	}
	u := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	p.n--
	return u
}

// put keeps u for another request, without buffers.
func (p *pool) put(u *upConn) {
	if u.br != nil {
		u.noBuffers()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.host(u.key)
	if len(h.list) >= idlePerHost || p.n >= p.most {
		go u.Close()
		return
	}
	u.since = time.Now()
	h.list = append(h.list, u)
	p.n++
}

// host is the entry of a destination. Those without connections are kept for
// their room until there are many.
func (p *pool) host(key string) *idleConns {
	if h := p.hosts[key]; h != nil {
		return h
	}
	if p.hosts == nil {
		p.hosts = map[string]*idleConns{}
	}
	if len(p.hosts) > 2*idleInAll {
		maps.DeleteFunc(p.hosts, func(_ string, h *idleConns) bool { return len(h.list) == 0 })
	}
	h := new(idleConns)
	p.hosts[key] = h
	return h
}

// expire closes the connections that were idle for too long, which are the first
// of each list.
func (p *pool) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return
	}
	for _, h := range p.hosts {
		old := 0
		for old < len(h.list) && now.Sub(h.list[old].since) > idleFor {
			go h.list[old].Close()
			old++
		}
		h.list = slices.Delete(h.list, 0, old)
		p.n -= old
	}
}
