package proxy

import (
	"context"
	"maps"
	"sync"
	"time"

	"bottle/pkg/h2"
)

// sessions are the HTTP/2 connections to origins. The exchanges of one
// connection of the agent's share one, as they would without a proxy; those of
// others never do at the same time, so that no agent's slow stream takes the
// connection's window from another's. The zero value is ready.
type sessions struct {
	mu    sync.Mutex
	hosts map[string]*origin2
	idle  int
}

// origin2 is what is known of one destination.
type origin2 struct {
	list  []*session
	dials map[*agentConn]*dialing // those under way
	only1 time.Time               // when it chose HTTP/1.1
}

// dialing is a connection being made, for all who wait for it.
type dialing struct {
	done chan struct{}
	err  error
}

// session is one HTTP/2 connection.
type session struct {
	*h2.Client
	host  *origin2   // nil for one that is not kept
	agent *agentConn // whose exchanges it serves
	uses  int
	timer *time.Timer
}

// remember1 is how long a destination that chose HTTP/1.1 is not asked again.
const remember1 = 10 * time.Minute

// getSession returns a connection in HTTP/2 to the exchange's destination; nil
// when the destination speaks HTTP/1.1.
func (x *exchange) getSession() (*session, error) {
	if x.p.Upstream != nil {
		return x.ownSession()
	}
	ctx, done := x.context()
	defer done()
	key := string(appendKey(nil, x.dest))
	for {
		s, d := x.p.sessions.find(key, x)
		if d == nil {
			return s, nil
		}
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// find returns a session that has room, or neither when the destination speaks
// HTTP/1.1, or what to wait for.
func (ss *sessions) find(key string, x *exchange) (*session, *dialing) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	o := ss.host(key)
	if s := o.pick(x.a); s != nil {
		ss.use(s, x.a)
		return s, nil
	}
	if time.Since(o.only1) < remember1 {
		return nil, nil
	}
	d := o.dials[x.a]
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		o.dials[x.a] = d
		go ss.open(o, d, x.a, x.dest, key)
	}
	return nil, d
}

// pick is the session that serves the agent's connection already, else an idle
// one.
func (o *origin2) pick(a *agentConn) (idle *session) {
	for _, s := range o.list {
		switch {
		case !s.Usable() || s.uses >= sessionStreams:
		case s.uses == 0:
			idle = s
		case s.agent == a:
			return s
		}
	}
	return idle
}

// sessionStreams is how many exchanges share a session at once: the least that
// RFC 9113 §6.5.2 recommends servers to allow.
const sessionStreams = 100

// open makes a connection to a destination.
func (ss *sessions) open(o *origin2, d *dialing, a *agentConn, dest target, key string) {
	p := a.p
	u, err := p.dial.dial(context.Background(), dest, key, true)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	defer close(d.done)
	delete(o.dials, a)
	d.err = err
	switch {
	case err != nil:
	case u.proto != "h2":
		o.only1 = time.Now()
		p.pool.put(u)
	default:
		s, err := newSession(u, p)
		if d.err = err; err == nil {
			s.host = o
			o.list = append(o.list, s)
			ss.idle++
			ss.rest(s)
		}
	}
}

func newSession(u *upConn, p *Proxy) (*session, error) {
	l := p.Limits
	c, err := h2.NewClient(u.Conn, h2.Config{MaxStreams: sessionStreams, HeadBytes: l.Head.HeadBytes, Fields: l.Head.Fields, Stall: l.Stall})
	if err != nil {
		u.Close()
		return nil, &fault{502, codeUpstream, "the origin's HTTP/2 connection failed: " + what(err)}
	}
	return &session{Client: c}, nil
}

// ownSession is a connection for one exchange: the second proxy's tunnels may
// die after any answer.
func (x *exchange) ownSession() (*session, error) {
	ctx, done := x.context()
	defer done()
	u, err := x.p.dial.dial(ctx, x.dest, string(appendKey(nil, x.dest)), true)
	if err != nil {
		return nil, err
	}
	if u.proto != "h2" {
		x.fresh = u
		return nil, nil
	}
	return newSession(u, x.p)
}

// host is the entry of a destination; locked. Those of which nothing is there
// are dropped when there are many.
func (ss *sessions) host(key string) *origin2 {
	if o := ss.hosts[key]; o != nil {
		return o
	}
	if ss.hosts == nil {
		ss.hosts = map[string]*origin2{}
	}
	if len(ss.hosts) > 4*idleInAll {
		maps.DeleteFunc(ss.hosts, func(_ string, o *origin2) bool { return len(o.list) == 0 && len(o.dials) == 0 })
	}
	o := &origin2{dials: map[*agentConn]*dialing{}}
	ss.hosts[key] = o
	return o
}

// use takes s for an exchange of the agent's connection; locked.
func (ss *sessions) use(s *session, a *agentConn) {
	if s.uses == 0 {
		s.agent = a
		s.timer.Stop()
		ss.idle--
	}
	s.uses++
}

// rest begins the time that s may be idle; locked.
func (ss *sessions) rest(s *session) {
	if s.timer == nil {
		s.timer = time.AfterFunc(idleFor, func() { ss.expire(s) })
		return
	}
	s.timer.Reset(idleFor)
}

// release is the end of an exchange on s.
func (ss *sessions) release(s *session) {
	if s.host == nil {
		s.Close()
		return
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.uses--
	if s.uses > 0 {
		return
	}
	if !s.Usable() || ss.idle >= idleInAll {
		ss.drop(s)
		return
	}
	s.agent = nil
	ss.idle++
	ss.rest(s)
}

// expire closes s where it is still idle.
func (ss *sessions) expire(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s.uses == 0 {
		ss.idle--
		ss.drop(s)
	}
}

// drop closes s; locked.
func (ss *sessions) drop(s *session) {
	for i, other := range s.host.list {
		if other == s {
			s.host.list = append(s.host.list[:i:i], s.host.list[i+1:]...)
			break
		}
	}
	go s.Close()
}
