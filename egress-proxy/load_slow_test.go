package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// hello answers "hello".
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })

// loadSlow: agents that send a byte now and then within a head or a handshake
// cost little, and hold up nobody else.
func loadSlow(t *testing.T, program string) {
	l := startLoaded(t, program, hello, "http/1.1")
	before := l.status(t, "VmRSS")
	n := connections(t, scaled(10_000, 10_000, 200))
	slow := make([]dripping, n)
	start := time.Now()
	atOnce(t, n, func(i int) (err error) {
		slow[i], err = l.dripping(t, i)
		return err
	})
	defer func() {
		for _, d := range slow {
			d.Close()
		}
	}()
	t.Logf("%d slow agents after %v", n, time.Since(start).Round(time.Millisecond))
	var took []time.Duration
	for range 5 {
		for i := range slow {
			slow[i].drip()
		}
		start := time.Now()
		l.get(t, "https://"+l.secured+"/")
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	within(t, "ms for another agent", float64(took[len(took)/2].Milliseconds()), 1000)
	if open, _ := l.metric(t, "egress_proxy_connections"); open < n {
		t.Errorf("%d connections are open; wanted all %d slow ones", open, n)
	}
	grown := settles(func() int { return l.status(t, "VmRSS") - before }, 64<<10)
	within(t, "VmRSS in MiB above the start", float64(grown)/1024, 64)
}

// dripping is a connection on which a byte at a time is sent.
type dripping struct {
	net.Conn
	rest []byte
}

func (d *dripping) drip() {
	if len(d.rest) > 0 {
		d.Write(d.rest[:1])
		d.rest = d.rest[1:]
	}
}

// dripping begins the head of a CONNECT, of a request in absolute form, a
// handshake, or now and then the head of a request inside TLS.
func (l *loaded) dripping(t *testing.T, i int) (dripping, error) {
	const head = "X-Slow: ly, and slower, and slower still\r\n"
	switch {
	case i%20 == 0:
		c, err := l.inside(t.Context(), i, l.secured)
		if err == nil {
			_, err = io.WriteString(c, "GET / HTTP/1.1\r\n")
		}
		return dripping{c, []byte(head)}, err
	case i%3 == 0:
		c, err := l.tunnel(i, l.secured)
		if err == nil {
			_, err = c.Write(clientHello()[:100])
		}
		return dripping{c, clientHello()[100:]}, err
	}
	c, err := l.dial(i)
	if err == nil {
		_, err = fmt.Fprintf(c, []string{"CONNECT %s HTTP/1.1\r\n", "GET http://%s/ HTTP/1.1\r\n"}[i%2], l.secured)
	}
	return dripping{c, []byte(head)}, err
}

// clientHello is the first flight of a handshake.
var clientHello = sync.OnceValue(func() []byte {
	var c firstFlight
	tls.Client(&c, &tls.Config{ServerName: "localhost"}).Handshake()
	return c.Bytes()
})

// firstFlight takes up what is written and has nothing to read.
type firstFlight struct {
	bytes.Buffer
	net.Conn
}

func (f *firstFlight) Write(p []byte) (int, error)      { return f.Buffer.Write(p) }
func (f *firstFlight) Read([]byte) (int, error)         { return 0, io.EOF }
func (f *firstFlight) Close() error                     { return nil }
func (f *firstFlight) SetWriteDeadline(time.Time) error { return nil }

// atOnce runs do for 0 to n-1, 32 at a time.
func atOnce(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	next := make(chan int)
	errs := make(chan error, n)
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					errs <- fmt.Errorf("%d: %w", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	close(errs)
	failed := len(errs)
	if err := <-errs; err != nil {
		t.Fatalf("%d of %d failed, the first: %v", failed, n, err)
	}
}
