package proxy

import (
	"sync/atomic"
	"time"
)

// patience is how long an answer may be due before the proxy looks whether the
// agent is still there: most answers come sooner, and looking costs a goroutine.
const patience = 200 * time.Millisecond

// watcher looks for the agent to leave while its HTTP/1.1 request, which is
// wholly read, is with the origin. Bytes that arrive are the next request's and
// stay where they are.
//
// It has no timer of its own, which each request would have to move: the proxy's
// tick (see serve.go) starts the look.
type watcher struct {
	x     *exchange
	state atomic.Int32
	since atomic.Int64  // when the watch was started, in Unix nanoseconds
	gone  chan struct{} // one message at the end of each look
}

// The states of a watcher.
const (
	unwatched int32 = iota
	watched         // until it is time to look
	looking
)

// start begins to watch, after some patience.
func (w *watcher) start(x *exchange) {
	if w.gone == nil {
		w.gone = make(chan struct{}, 1)
	}
	w.x = x
	w.since.Store(time.Now().UnixNano())
	x.p.watched.Add(1)
	w.state.Store(watched)
}

// tick starts the look when it is time.
func (w *watcher) tick(now time.Time) {
	if now.UnixNano()-w.since.Load() < int64(patience) || !w.state.CompareAndSwap(watched, looking) {
		return
	}
	w.x.p.watched.Add(-1)
	go func() {
		w.look()
		w.gone <- struct{}{}
	}()
}

// stop ends the watch: afterwards nobody reads the agent's connection.
func (w *watcher) stop() {
	if w.state.CompareAndSwap(watched, unwatched) {
		w.x.p.watched.Add(-1)
		return
	}
	a := w.x.a
	w.x.answered.Store(true)
	a.SetReadDeadline(past)
	<-w.gone
	w.state.Store(unwatched)
	a.due = time.Time{}
}

// look waits for the agent to send something or leave.
func (w *watcher) look() {
	x, a := w.x, w.x.a
	a.SetReadDeadline(time.Time{})
	for !x.answered.Load() {
		n := a.br.Buffered() + 1
		if n > a.br.Size() {
			return
		}
		if _, err := a.br.Peek(n); err != nil {
			if !timedOut(err) {
				x.cut(errAgentLeft)
			}
			return
		}
	}
}

// past is a deadline that wakes whoever waits.
var past = time.Unix(1, 0)
