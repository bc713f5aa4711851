package h2

import (
	"sync"
	"time"
)

// A task is a stream to be handled or, without one, a connection whose buffer is
// to be written.
type task struct {
	c *conn
	s *Stream
}

func (t task) do() {
	if t.s == nil {
		t.c.mu.Lock()
		t.c.carry(-1)
		t.c.mu.Unlock()
		return
	}
	for s := t.s; s != nil; s = t.c.handled(s) {
		t.c.handle(s)
	}
}

// workers are the goroutines of all connections that wait for a task. A new
// goroutine would grow its stack anew each time, which costs more than a request
// does.
var workers struct {
	mu   sync.Mutex
	idle []worker
	tick bool // sweep is going to run
}

type worker struct {
	ch    chan task
	since time.Time
}

// lull is how long a worker waits for a task.
const lull = time.Second

// run does t on another goroutine.
func run(t task) {
	workers.mu.Lock()
	n := len(workers.idle)
	if n == 0 {
		workers.mu.Unlock()
		go work(t)
		return
	}
	w := workers.idle[n-1] // the last to become idle: its stack is warm
	workers.idle = workers.idle[:n-1]
	workers.mu.Unlock()
	w.ch <- t
}

func work(t task) {
	ch := make(chan task, 1)
	for ok := true; ok; t, ok = <-ch {
		t.do()
		t = task{}
		rest(worker{ch, time.Now()})
	}
}

// rest puts a worker on the list.
func rest(w worker) {
	workers.mu.Lock()
	workers.idle = append(workers.idle, w)
	if !workers.tick {
		workers.tick = true
		time.AfterFunc(lull, sweep)
	}
	workers.mu.Unlock()
}

// sweep ends the workers that have waited for a while.
func sweep() {
	workers.mu.Lock()
	defer workers.mu.Unlock()
	before := time.Now().Add(-lull)
	n := 0
	for n < len(workers.idle) && workers.idle[n].since.Before(before) {
		close(workers.idle[n].ch)
		n++
	}
	left := copy(workers.idle, workers.idle[n:])
	clear(workers.idle[left:])
	workers.idle = workers.idle[:left]
	workers.tick = left > 0
	if workers.tick {
		time.AfterFunc(lull, sweep)
	}
}
