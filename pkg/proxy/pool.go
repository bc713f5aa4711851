package proxy

import (
	"bufio"
	"net"
	"sync"
	"syscall"
	"time"
)

// upConn is a connection to an origin.
type upConn struct {
	net.Conn
	raw   net.Conn // the TCP connection below
	br    *bufio.Reader
	bw    *bufio.Writer
	key   string
	proto string
	last  bool // no further request may follow
	timer *time.Timer
}

// clean tells whether nothing of an earlier answer is left: surplus bytes would
// be taken for the next answer.
func (u *upConn) clean() bool { return !u.last && u.silent() }

// silent tells whether no byte waits in this process. crypto/tls reads ahead of
// the record it hands out, where neither br nor the kernel shows it; a read with
// a deadline in the past looks there and waits for nothing.
func (u *upConn) silent() bool {
	if u.br.Buffered() > 0 {
		return false
	}
	u.SetReadDeadline(past)
	_, err := u.br.Peek(1)
	u.SetReadDeadline(time.Time{})
	return err != nil && timedOut(err)
}

// pool keeps connections to origins between requests. The zero value is ready.
type pool struct {
	mu   sync.Mutex
	idle map[string][]*upConn
	n    int
}

const (
	idlePerHost = 16
	idleInAll   = 256
	// idleFor is below the keep-alive times of common servers but for Node's
	// five seconds; alive finds those that ended meanwhile.
	idleFor = 30 * time.Second
)

// get returns a connection to the exchange's destination, used or new. A
// WebSocket gets a new one.
func (p *pool) get(x *exchange, fresh bool) (*upConn, error) {
	key := x.dest.scheme + " " + x.dest.addr()
	for !fresh {
		u := p.take(key)
		if u == nil {
			break
		}
		if u.alive() {
			return u, nil
		}
		u.Close()
	}
	return x.p.dial.dial(x.ctx, x.dest, key)
}

func (p *pool) take(key string) *upConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[key]
	if len(list) == 0 {
		return nil
	}
	u := list[len(list)-1] // the youngest is the likeliest to be alive
	p.set(key, list[:len(list)-1])
	u.timer.Stop()
	return u
}

func (p *pool) set(key string, list []*upConn) {
	p.n += len(list) - len(p.idle[key])
	if len(list) == 0 {
		delete(p.idle, key)
		return
	}
	if p.idle == nil {
		p.idle = map[string][]*upConn{}
	}
	p.idle[key] = list
}

// put keeps u for another request.
func (p *pool) put(u *upConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[u.key]
	if len(list) >= idlePerHost || p.n >= idleInAll {
		go u.Close()
		return
	}
	p.set(u.key, append(list, u))
	u.timer = time.AfterFunc(idleFor, func() { p.expire(u) })
}

func (p *pool) expire(u *upConn) {
	p.mu.Lock()
	list := p.idle[u.key]
	for i := range list {
		if list[i] == u {
			p.set(u.key, append(list[:i:i], list[i+1:]...))
			p.mu.Unlock()
			u.Close()
			return
		}
	}
	p.mu.Unlock()
}

// alive asks the kernel, without waiting, whether the origin has closed the
// connection or sent anything unasked: either way it is of no more use.
func (u *upConn) alive() bool {
	if !u.silent() {
		return false
	}
	sc, ok := u.raw.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = rc.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, e := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = e == syscall.EAGAIN
		return true
	})
	return err == nil && quiet
}
