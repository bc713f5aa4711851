package proxy

import (
	"context"
	"errors"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Serve accepts the agent's connections from ln until ln is closed, and then
// returns nil. One that is over the limit waits in the kernel's queue.
func (p *Proxy) Serve(ln net.Listener) error {
	slots := make(chan struct{}, p.Limits.Conns)
	stop := p.ticks()
	defer stop()
	for {
		slots <- struct{}{}
		p.sockets <- struct{}{}
		c, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			<-p.sockets
			return nil
		}
		if err != nil {
			// EMFILE and the like pass: accept(2) says to try again.
			p.Log.Error("accept", "error", err.Error())
			<-slots
			<-p.sockets
			time.Sleep(50 * time.Millisecond)
			continue
		}
		go p.serveConn(c, func() { <-slots; <-p.sockets })
	}
}

// serveConn serves one connection of the agent until it ends; then it calls
// release.
func (p *Proxy) serveConn(c net.Conn, release func()) {
	a := newAgentConn(p, c, release)
	p.mu.Lock()
	p.conns[a] = struct{}{}
	p.mu.Unlock()
	p.count.conns.Add(1)
	p.pause.accept()
	a.doze()
}

// tickEvery is how often the proxy looks after what has no timer of its own.
const tickEvery = 250 * time.Millisecond

// ticks cuts the exchanges of routes that end while they run, looks for agents
// that left, and closes idle connections to origins.
func (p *Proxy) ticks() (stop func()) {
	tick, done := time.NewTicker(tickEvery), make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case now := <-tick.C:
				p.tick(now)
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

func (p *Proxy) tick(now time.Time) {
	if t := p.table.Load(); expires(t) {
		p.cutRefused(t)
	}
	if p.uses.dirty.Swap(false) && p.Used != nil {
		p.Used(p.Uses())
	}
	p.pool.expire(now)
	if p.watched.Load() == 0 {
		return
	}
	for _, a := range p.all() {
		a.each(func(x *exchange) {
			if x.watcher != nil {
				x.watcher.tick(now)
			}
		})
	}
}

// pause finds when many connections have come and no more do. Handshakes leave
// garbage of several times what the tunnels they opened hold; the collector
// would leave it there until as much has come again.
type pause struct {
	accepted, returned atomic.Int64 // connections in all, and until memory was returned
}

// manyConns leave enough to be worth a collection, and pauseTime is how long no
// other comes.
const manyConns, pauseTime = 1000, 150 * time.Millisecond

func (p *pause) accept() {
	if n := p.accepted.Add(1); n-p.returned.Load() == manyConns {
		time.AfterFunc(pauseTime, func() { p.look(n) })
	}
}

// look returns memory when no connection came after the one numbered n.
func (p *pause) look(n int64) {
	now := p.accepted.Load()
	if now != n {
		time.AfterFunc(pauseTime, func() { p.look(now) })
		return
	}
	p.returned.Store(now)
	debug.FreeOSMemory()
}

// Drain lets the exchanges in flight finish and takes no new ones: idle
// connections are closed, others after their present exchange. It returns when
// none is left, or with ctx, when what is left has been cut.
func (p *Proxy) Drain(ctx context.Context) {
	p.drain.Store(true)
	p.closeIdle()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		left := len(p.conns)
		p.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
			p.closeAll()
			return
		case <-tick.C:
			p.closeIdle()
		}
	}
}

func (p *Proxy) closeIdle() {
	for _, a := range p.all() {
		if srv := a.h2.Load(); srv != nil {
			srv.Shutdown() // sends GOAWAY
		} else if a.idle.Load() {
			a.Close()
		}
	}
}

func (p *Proxy) closeAll() {
	for _, a := range p.all() {
		a.each(func(x *exchange) { x.cut(errDraining) })
		a.Close()
	}
}
