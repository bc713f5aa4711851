package main

import (
	"crypto/tls"
	"testing"
	"time"
)

// loadIdle: a tunnel whose one request is answered costs little memory and no
// time, and serves again when it is used again.
func loadIdle(t *testing.T, program string) {
	l := startLoaded(t, program, hello, "http/1.1")
	n := connections(t, scaled(10_000, 3_000, 150))
	tunnels := make([]*tls.Conn, n)
	head := "GET / HTTP/1.1\r\nHost: " + l.secured + "\r\n\r\n"
	start := time.Now()
	open := func(i int) (err error) {
		if tunnels[i], err = l.inside(t.Context(), i, l.secured); err != nil {
			return err
		}
		return wantAnswer(tunnels[i], head, 200)
	}
	// The first third grows what all share: stacks, pools, the heap's slack.
	first := n / 3
	atOnce(t, first, open)
	before := l.status(t, "VmRSS")
	atOnce(t, n-first, func(i int) error { return open(first + i) })
	defer func() {
		for _, c := range tunnels {
			c.Close()
		}
	}()
	t.Logf("%d tunnels after %v", n, time.Since(start).Round(time.Millisecond))
	most := scaled(16, 16, 16<<10) // KiB
	figure := func() int { return (l.status(t, "VmRSS") - before) * 1024 / (n - first) }
	t.Logf("at once %.1f KiB a tunnel", float64(figure())/1024)
	within(t, "KiB a tunnel", float64(settles(figure, most*1024))/1024, float64(most))
	const window = 2 * time.Second
	within(t, "processor time in ticks of 10 ms over 2 idle seconds", float64(settles(func() int {
		used := l.ticks(t)
		time.Sleep(window) // this is what is measured
		return l.ticks(t) - used
	}, 1)), 1)
	atOnce(t, n/10, func(i int) error { return wantAnswer(tunnels[i*10], head, 200) })
}
