package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// loadChurn: what connections took is given back when they have ended, however
// they ended.
func loadChurn(t *testing.T, program string) {
	closing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // so that the proxy keeps none
		io.WriteString(w, "hello")
	})
	l := startLoaded(t, program, closing, "http/1.1")
	churn := func(n int) { t.Helper(); atOnce(t, n, func(i int) error { return l.churn(t, i) }) }
	churn(320)
	idle := func() int { n, _ := l.metric(t, "egress_proxy_connections"); return n }
	settles(idle, 1)
	routines, what, spare := l.routines(t)
	files, lines, memory := calm(l.descriptors), calm(routines), l.status(t, "VmRSS")
	t.Logf("before: %d descriptors, %d %s", files, lines, what)
	start := time.Now()
	n := scaled(100_000, 5_000, 500)
	churn(n)
	t.Logf("%d connections in %v", n, time.Since(start).Round(time.Millisecond))
	if got := settles(idle, 1); got > 1 {
		t.Errorf("%d connections are left", got-1)
	}
	if files < 0 {
		t.Log("only root may count the descriptors of an undumpable process")
	} else if got := settles(l.descriptors, files); got > files {
		t.Errorf("%d descriptors; at the start %d", got, files)
	}
	if got := settles(routines, lines+spare); got > lines+spare {
		t.Errorf("%d %s; at the start %d", got, what, lines)
	}
	within(t, "VmRSS in MiB above the start", float64(l.status(t, "VmRSS")-memory)/1024, 32)
}

// routines counts the proxy's goroutines, or where it has no such gauge its
// threads, of which Go keeps some.
func (l *loaded) routines(t *testing.T) (figure func() int, what string, spare int) {
	const gauge = "egress_proxy_goroutines"
	if _, ok := l.metric(t, gauge); !ok {
		return func() int { return l.status(t, "Threads") }, "threads", 8
	}
	return func() int { n, _ := l.metric(t, gauge); return n }, "goroutines", 0
}

// churn makes one connection of one of many kinds, and ends it.
func (l *loaded) churn(t *testing.T, i int) error {
	switch i % 8 {
	case 0:
		return l.fetch(t, i, "refused.test:443", 403)
	case 1:
		return l.ask(i, "CONNECT no-port HTTP/1.1\r\nHost: no-port\r\n\r\n", 400)
	case 2:
		return l.ask(i, "GET http://refused.test/ HTTP/1.1\r\nHost: refused.test\r\n\r\n", 403)
	case 3:
		return l.ask(i, fmt.Sprintf("GET http://%s/ HTTP/1.1\r\nHost: %[1]s\r\n\r\n", l.plain), 200)
	case 4:
		return l.abandon(i, "CONNECT "+l.secured+" HT")
	case 5, 6:
		c, err := l.tunnel(i, l.secured)
		if err == nil {
			_, err = c.Write(clientHello()[:1+i%len(clientHello())])
			end(c, i%8 == 6)
		}
		return err
	}
	if i%16 == 7 {
		return l.fetch(t, i, l.secured, 200)
	}
	return l.abandon(i, "")
}

// end closes c, with a reset if so wanted.
func end(c net.Conn, reset bool) {
	if reset {
		c.(*net.TCPConn).SetLinger(0)
	}
	c.Close()
}

// abandon sends text and resets the connection.
func (l *loaded) abandon(i int, text string) error {
	c, err := l.dial(i)
	if err == nil {
		_, err = io.WriteString(c, text)
		end(c, true)
	}
	return err
}

// ask sends a head in the clear and wants the status.
func (l *loaded) ask(i int, head string, status int) error {
	c, err := l.dial(i)
	if err != nil {
		return err
	}
	defer c.Close()
	return wantAnswer(c, head, status)
}

// fetch asks authority for / inside TLS.
func (l *loaded) fetch(t *testing.T, i int, authority string, status int) error {
	c, err := l.inside(t.Context(), i, authority)
	if err != nil {
		return err
	}
	defer c.Close()
	return wantAnswer(c, "GET / HTTP/1.1\r\nHost: "+authority+"\r\n\r\n", status)
}

func wantAnswer(c net.Conn, head string, status int) error {
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	r, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != status {
		return fmt.Errorf("%.40q: %s, %v; wanted %d", head, r.Status, err, status)
	}
	return nil
}
