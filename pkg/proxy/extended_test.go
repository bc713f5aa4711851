package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// hasty is an origin that answers 404 to each head before it reads the content.
type hasty struct {
	mu    sync.Mutex
	heads []string
	size  int // of the last head
}

func (o *hasty) serve(c net.Conn) {
	var all bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &all))
	for {
		begin := all.Len() - br.Buffered()
		req, err := http1.ReadRequest(br, http1.Limits{})
		if err != nil {
			return
		}
		o.mu.Lock()
		o.heads = append(o.heads, fmt.Sprint(req.Method, " ", req.Target, " ", req.Header))
		o.size = all.Len() - br.Buffered() - begin
		o.mu.Unlock()
		io.WriteString(c, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")
		if _, err := io.Copy(io.Discard, http1.NewBody(br, req.ContentLength)); err != nil {
			return
		}
	}
}

func (o *hasty) seen() ([]string, int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.heads, o.size
}

func contentLength(n int) http1.Field {
	return http1.Field{Name: "content-length", Value: fmt.Sprint(n)}
}

// A Content-Length beside an extended CONNECT would make an origin of HTTP/1.1
// take the head of the next request for content, and that one's content for a
// request that no policy saw.
func TestExtendedSmuggle(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	var o hasty
	ln := w.raw("yes.test", o.serve)
	w.routes("routes: [{host: yes.test, ports: [%d], path_allowlist: [/ok]}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	cl := w.agent2(to)
	content := "GET /forbidden HTTP/1.1\r\nHost: internal.test\r\n\r\n"
	post := func() {
		s := ask(t, cl, "POST", to, "/ok", false, contentLength(len(content)))
		io.WriteString(s, content)
		s.End(nil)
		w.wantRefusal(s)
	}
	post()
	_, size := o.seen()
	w.wantRefusal(ask(t, cl, "CONNECT", to, "/ok", false, contentLength(size)))
	post()
	heads, _ := o.seen()
	if all := strings.Join(heads, "\n"); len(heads) != 3 || strings.Contains(all, "forbidden") {
		t.Errorf("the origin saw\n%s", all)
	}
}

// wantRefusal wants the answer of hasty, and the exchange's end.
func (w *world) wantRefusal(s *h2.Stream) {
	w.t.Helper()
	h := headOf(w.t, s)
	if b, err := io.ReadAll(s); h.Status != 404 || string(b) != "no" || err != nil {
		w.t.Errorf("%d %q %v", h.Status, b, err)
	}
	s.Close()
	eventually(w.t, "no exchange", func() bool { return w.p.inFlight() == 0 })
}

// A Content-Length beside an extended CONNECT, where it means nothing, does not
// reach an origin of HTTP/1.1, and the requests after it are served.
func TestExtendedLength(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	var o hasty
	to := w.open(w.raw("yes.test", o.serve))
	cl := w.agent2(to)
	w.wantRefusal(ask(t, cl, "CONNECT", to, "/ws", false, contentLength(300)))
	for range 3 {
		w.wantRefusal(ask(t, cl, "GET", to, "/next", true))
	}
	heads, _ := o.seen()
	if len(heads) != 4 || !strings.HasPrefix(heads[0], "GET /ws ") || strings.Contains(strings.ToLower(heads[0]), "content-length") {
		t.Errorf("the origin saw\n%s", strings.Join(heads, "\n"))
	}
}

// An answer of HTTP/1.1 that is no 101 opens no WebSocket: a 200, which would in
// HTTP/2, becomes a 502, and a refusal is handed on.
func TestExtendedRefused(t *testing.T) {
	for status, want := range map[string]int{"200 OK": 502, "404 No": 404} {
		w := newWorld(t, "routes: []", nil)
		to := w.open(w.raw("yes.test", func(c net.Conn) {
			http1.ReadRequest(bufio.NewReader(c), http1.Limits{})
			io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 8\r\n\r\nanswered")
		}))
		s, h, err := w.extended(to, "/ws", "websocket")
		if err != nil || h.Status != want {
			t.Fatalf("%s: %d %v; wanted %d", status, h.Status, err, want)
		}
		if b, err := io.ReadAll(s); err != nil || (string(b) == "answered") != (want == 404) {
			t.Errorf("%s: %q %v", status, b, err)
		}
	}
}

// A WebSocket that the origin breaks off does not end in due form for the agent.
func TestBrokenWebSocket(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	read := make(chan bool)
	to := w.open(w.raw2(streams(h2.Config{Extended: true}, func(s *h2.Stream) {
		s.Respond(200, nil, false)
		io.WriteString(s, "first")
		s.Flush()
		<-read
		s.Reset(h2.InternalError)
	})))
	s, h, err := w.extended(to, "/ws", "websocket")
	if err != nil || h.Status != 200 {
		t.Fatal(h.Status, err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(s, first); err != nil || string(first) != "first" {
		t.Fatalf("%q %v", first, err)
	}
	close(read)
	if b, err := io.ReadAll(s); err == nil {
		t.Errorf("%q and a due end", b)
	}
}

// A route that is taken away refuses at once an exchange that waits for a
// connection, or for the origin's SETTINGS on one that was made.
func TestCutWhileOpening(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	ln := w.raw2(func(c *tls.Conn) { io.Copy(io.Discard, c) })
	for _, stage := range []struct {
		name    string
		reached func() bool
		within  time.Duration // well under what it would wait else
	}{
		{"connection", func() bool { return w.p.inFlight() == 1 && ln.n.Load() == 1 }, 1500 * time.Millisecond},
		{"SETTINGS", func() bool { return w.p.inFlight() == 1 && w.used() == 1 }, 5 * time.Second},
	} {
		s := w.handshake(w.open(ln))
		eventually(t, stage.name, stage.reached)
		start := time.Now()
		w.p.SetTable(table(t, "routes: []"))
		if h := headOf(t, s); h.Status != 403 || time.Since(start) > stage.within {
			t.Errorf("%s: %d after %v; wanted 403 within %v", stage.name, h.Status, time.Since(start), stage.within)
		}
		eventually(t, "no exchange", func() bool { return w.p.inFlight() == 0 })
	}
}

// handshake sends an extended CONNECT on a connection of its own.
func (w *world) handshake(to string) *h2.Stream {
	return ask(w.t, w.agent2(to), "CONNECT", to, "/ws", false)
}

// used is how many exchanges have a session.
func (w *world) used() (n int) {
	ss := &w.p.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, o := range ss.hosts {
		for _, s := range o.list {
			n += s.uses
		}
	}
	return n
}
