package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// held is a world with an origin, in the clear when host is "", that reads a
// request's head, sends answer, reads so much content, says here and stays.
func held(t *testing.T, host, answer string, content int64) (w *world, to string, here chan bool) {
	w, here = newWorld(t, "routes: []", nil), make(chan bool, 9)
	ln := w.raw(host, func(c net.Conn) {
		br := bufio.NewReader(c)
		http1.ReadRequest(br, http1.Limits{})
		io.WriteString(c, answer)
		io.CopyN(io.Discard, br, content)
		here <- true
		io.Copy(io.Discard, br)
	})
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	return w, fmt.Sprintf("yes.test:%d", portOf(ln)), here
}

// A route that is taken away while its request waits for an answer, or is still
// on its way, is answered 403 in words.
func TestTakenBefore(t *testing.T) {
	w, to, here := held(t, "yes.test", "", 8)
	c := w.tunnel(to).send("POST / HTTP/1.1\r\nHost: " + to + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	within(t, here, "the request")
	w.routes("routes: []")
	if r, b := c.wantStatus("POST", 403); r.Header.Get(ReasonHeader) != "route-removed" {
		t.Errorf("%v %q", r.Header, b)
	}
}

// A connection that ends with the 403 for a route taken away says so; otherwise
// it serves the next request.
func TestCloseAnnounced(t *testing.T) {
	w, to, here := held(t, "yes.test", "", 0)
	get := "GET / HTTP/1.1\r\nHost: " + to + "\r\n\r\n"
	c := w.tunnel(to).send(get)
	within(t, here, "the request")
	w.routes("routes: []")
	if r, _ := c.wantStatus("GET", 403); r.Close {
		c.wantEnd()
		return
	}
	c.send(get).wantStatus("GET", 403)
}

// An interim answer is no answer: a route taken away after one is still
// answered 403.
func TestTakenAfterInterim(t *testing.T) {
	w, to, here := held(t, "yes.test", "HTTP/1.1 100 Continue\r\n\r\n", 3)
	c := w.tunnel(to).send("POST / HTTP/1.1\r\nHost: " + to + "\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
	c.wantStatus("POST", 100)
	c.send("abc")
	within(t, here, "the content")
	w.routes("routes: []")
	c.wantStatus("POST", 403)
}

// A cut answer does not end in due form, not even where in HTTP/1.0 the end of
// the connection is the end of the content.
func TestCutClear10(t *testing.T) {
	w, to, _ := held(t, "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n", 0)
	c := w.dial().send("GET http://" + to + "/ HTTP/1.0\r\nHost: " + to + "\r\n\r\n")
	r, err := http1.ReadResponse(c.br, "GET", http1.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	b := http1.NewBody(c.br, r.ContentLength)
	if _, err := io.ReadFull(b, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	w.routes("routes: []")
	if rest, err := io.ReadAll(b); err == nil || timedOut(err) {
		t.Errorf("%q %v; wanted an error of the connection", rest, err)
	}
}

// gate is a listener whose connections' send buffers are full while it is shut.
type gate struct {
	net.Listener
	shut atomic.Bool
	open chan bool
}

func (g *gate) Accept() (net.Conn, error) {
	c, err := g.Listener.Accept()
	return &gated{c, g}, err
}

type gated struct {
	net.Conn
	gate *gate
}

func (c *gated) Write(p []byte) (int, error) {
	if c.gate.shut.Load() {
		<-c.gate.open
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// A new table waits for no agent that does not read.
func TestReloadWaitsForAgent(t *testing.T) {
	w, o, _ := one(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	g := &gate{Listener: listen(t), open: make(chan bool)}
	defer close(g.open)
	go w.p.Serve(g)
	w.addr = g.Listener.Addr().String()
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	_, f := w.framer(to)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(to), EndHeaders: true, EndStream: true})
	for begun := false; !begun; {
		fr, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		_, begun = fr.(*http2.MetaHeadersFrame)
	}
	g.shut.Store(true)
	done, none := make(chan bool), table(t, "routes: []")
	go func() { w.p.SetTable(none); close(done) }()
	within(t, done, "the end of SetTable")
}

// A route that ends while its answer runs is cut within a second by the proxy
// itself; the next request is refused.
func TestExpiresInFlight(t *testing.T) {
	w, to, _ := held(t, "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n", 0)
	_, port, _ := net.SplitHostPort(to)
	end := time.Now().Add(1500 * time.Millisecond).UTC()
	w.routes("routes: [{host: yes.test, ports: [%s], expires: %q}]", port, end.Format(time.RFC3339Nano))
	get := "GET http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\n\r\n"
	c := w.dial().send(get)
	r, err := http1.ReadResponse(c.br, "GET", http1.Limits{})
	if err != nil || r.Status != 200 {
		t.Fatal(r, err)
	}
	_, err = io.Copy(io.Discard, http1.NewBody(c.br, r.ContentLength))
	if late := time.Since(end); err == nil || late < 0 || late > time.Second {
		t.Errorf("the stream ended %v after its route, with %v; wanted a cut within a second", late, err)
	}
	w.dial().send(get).wantStatus("GET", 403)
}
