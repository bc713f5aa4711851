package proxy

import "time"

// patience is how long an answer may be due before the proxy looks whether the
// agent is still there: most answers come sooner, and looking costs a goroutine.
const patience = 200 * time.Millisecond

// watcher looks for the agent to leave while its HTTP/1.1 request, which is
// wholly read, is with the origin. Bytes that arrive are the next request's and
// stay where they are.
type watcher struct {
	x     *exchange
	timer *time.Timer
	gone  chan struct{} // one message at the end of each look
}

// start begins to watch, after some patience.
func (w *watcher) start(x *exchange) {
	w.x = x
	if w.timer == nil {
		w.gone = make(chan struct{}, 1)
		w.timer = time.AfterFunc(patience, func() {
			w.look()
			w.gone <- struct{}{}
		})
		return
	}
	w.timer.Reset(patience)
}

// stop ends the watch: afterwards nobody reads the agent's connection.
func (w *watcher) stop() {
	if w.timer.Stop() {
		return
	}
	a := w.x.a
	w.x.answered.Store(true)
	a.SetReadDeadline(past)
	<-w.gone
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
