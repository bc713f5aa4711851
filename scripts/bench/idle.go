package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// openTime bounds how long tunnels are opened for the cell idle: a slow target
// has fewer of them.
const openTime = 8 * time.Second

// idleTunnels is the cell idle: what a tunnel over which one request went, and
// now nothing, holds of the memory of a new process, and what all of them cost.
func idleTunnels(l *lap) (values, error) {
	if err := l.target.restart(l.ctx); err != nil {
		return nil, err
	}
	settle := min(l.dur, 500*time.Millisecond)
	if err := l.pause(settle); err != nil {
		return nil, err
	}
	before := residentKiB(l.target.session())
	cs, err := l.open(l.idle)
	defer cs.Close()
	if err != nil {
		return nil, err
	}
	if err := l.pause(settle); err != nil {
		return nil, err
	}
	m := l.start()
	if err := l.pause(l.dur); err != nil {
		return nil, err
	}
	seconds, cpu, others := m.stop()
	n := float64(len(cs))
	kib := float64(residentKiB(l.target.session())-before) / n
	return values{"kib": kib, "cpu": cpu / seconds * 100, "n": n, "others": others}, nil
}

// open opens n tunnels, or as many as can be opened in openTime.
func (l *lap) open(n int) (clients, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var cs clients
	var failure error
	var next atomic.Int64
	end := time.Now().Add(openTime)
	for range 4 {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && time.Now().Before(end) {
				c, err := l.target.visit(l.ctx, l.target.Host)
				mu.Lock()
				if err != nil {
					failure = err
					mu.Unlock()
					return
				}
				c.br = nil // our own memory counts too on a small machine
				cs = append(cs, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return cs, failure
}
