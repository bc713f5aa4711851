package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// An origin that does not even read a long head holds the request no longer
// than one that does not answer.
func TestSendWholeBlocks(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Answer = 500 * time.Millisecond })
	small := func(option int) func(uintptr) {
		return func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 4096) }
	}
	allowed := w.p.dial.net.ControlContext
	w.p.dial.net.ControlContext = func(ctx context.Context, network, address string, c syscall.RawConn) error {
		c.Control(small(unix.SO_SNDBUF))
		return allowed(ctx, network, address, c)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return c.Control(small(unix.SO_RCVBUF)) }}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	w.dial().send("GET http://"+to+"/ HTTP/1.1\r\nHost: "+to+"\r\nX-Pad: "+strings.Repeat("a", 60000)+"\r\n\r\n").wantStatus("GET", 504)
}

// Idle connections to some origins leave slots for others.
func TestIdleTakesSlots(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Origins, c.Limits.Dial = 2, 5*time.Second })
	client := w.client(false)
	for i := range 4 {
		host := fmt.Sprintf("h%d.test", i)
		port := portOf(w.serve(host, http.HandlerFunc(hello)))
		w.routes("routes: [{host: %s, ports: [%d]}]", host, port)
		r, err := client.Get(fmt.Sprintf("https://%s:%d/", host, port))
		if b := text(t, r, err); r.StatusCode != 200 {
			t.Errorf("%s: %d %q", host, r.StatusCode, b)
		}
	}
}
