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
// connection's window from another's.
type sessions struct {
	most  int // idle ones in all
	mu    sync.Mutex
	hosts map[string]*origin2
	idle  int
}

// origin2 is what is known of one destination.
type origin2 struct {
	list  []*session
	dials map[*agentConn]*waiting // connections being made
	room  *waiting                // for one of the sessions to have room; nil when nobody does
	only1 time.Time               // when it chose HTTP/1.1
}

// waiting is what several exchanges wait for.
type waiting struct {
	over chan struct{} // closed at the end
	err  error
	made *session
}

// session is one HTTP/2 connection.
type session struct {
	*h2.Client
	host  *origin2   // nil for one that is not kept
	agent *agentConn // whose exchanges it serves
	uses  int
	gone  bool // dropped
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
	for x.lost < mostLost {
		s, w := x.p.sessions.find(key, x)
		if w == nil {
			return s, nil
		}
		select {
		case <-w.over:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if w.err != nil {
			return nil, w.err
		}
		if w.made != nil && !w.made.Usable() {
			x.lost++
		}
	}
	return nil, &fault{502, codeUpstream, "host '" + x.dest.host + "' kept no HTTP/2 connection open"}
}

// mostLost is how many connections an exchange sees end before it was their turn.
const mostLost = 4

// mostSessions is how many connections the exchanges of one connection of the
// agent's have to a destination at once: an origin may allow few streams on each.
const mostSessions = 8

// find returns a session that has room, or neither when the destination speaks
// HTTP/1.1, or what to wait for.
func (ss *sessions) find(key string, x *exchange) (*session, *waiting) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	o := ss.host(key)
	s, n := o.pick(x.a)
	if s != nil {
		ss.use(s, x.a)
		return s, nil
	}
	if time.Since(o.only1) < remember1 {
		return nil, nil
	}
	if n >= mostSessions {
		if o.room == nil {
			o.room = &waiting{over: make(chan struct{})}
		}
		return nil, o.room
	}
	w := o.dials[x.a]
	if w == nil {
		w = &waiting{over: make(chan struct{})}
		o.dials[x.a] = w
		go ss.open(o, w, x.a, x.dest, key)
	}
	return nil, w
}

// pick is the session with room that serves the agent's connection already, else
// an idle one; n is how many serve it.
func (o *origin2) pick(a *agentConn) (found *session, n int) {
	for _, s := range o.list {
		if !s.Usable() {
			continue
		}
		if s.agent == a {
			n++
		}
		switch {
		case s.agent == a && s.uses < s.Room():
			return s, n
		case s.uses == 0:
			found = s
		}
	}
	return found, n
}

// sessionStreams is how many exchanges share a session at once: the least that
// RFC 9113 §6.5.2 recommends servers to allow.
const sessionStreams = 100

// open makes a connection to a destination.
func (ss *sessions) open(o *origin2, w *waiting, a *agentConn, dest target, key string) {
	p := a.p
	u, err := p.dial.dial(context.Background(), dest, key, true)
	var s *session
	if err == nil && u.proto == "h2" {
		s, err = newSession(u, p)
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	defer close(w.over)
	delete(o.dials, a)
	w.err, w.made = err, s
	switch {
	case err != nil:
	case u.proto != "h2":
		o.only1 = time.Now()
		p.pool.put(u)
	default:
		s.host = o
		o.list = append(o.list, s)
		ss.idle++
		ss.rest(s)
	}
}

func newSession(u *upConn, p *Proxy) (*session, error) {
	l := p.Limits
	c, err := h2.NewClient(u.Conn, h2.Config{MaxStreams: sessionStreams, HeadBytes: l.Head.HeadBytes, Fields: l.Head.Fields, Stall: l.Stall})
	if err != nil {
		u.Close()
		return nil, &fault{502, codeUpstream, "the origin's HTTP/2 connection failed: " + what(err)}
	}
	// How many streams it allows is known with its SETTINGS, which most send at
	// once; one that does not gets what there is to lose.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c.AwaitSettings(ctx)
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
	o := &origin2{dials: map[*agentConn]*waiting{}}
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
	if r := s.host.room; r != nil {
		close(r.over)
		s.host.room = nil
	}
	if s.uses > 0 {
		return
	}
	s.agent = nil
	if !s.Usable() || ss.idle >= ss.most {
		ss.drop(s)
		return
	}
	ss.idle++
	ss.rest(s)
}

// expire closes s where it is still idle.
func (ss *sessions) expire(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s.uses == 0 && !s.gone {
		ss.idle--
		ss.drop(s)
	}
}

// drop closes s; locked.
func (ss *sessions) drop(s *session) {
	s.gone = true
	for i, other := range s.host.list {
		if other == s {
			s.host.list = append(s.host.list[:i:i], s.host.list[i+1:]...)
			break
		}
	}
	go s.Close()
}
