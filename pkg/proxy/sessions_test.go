package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// raw2 serves each connection by hand behind a handshake that agreed on HTTP/2.
// A client that does not offer it is refused, as by many servers.
func (w *world) raw2(serve func(*tls.Conn)) *count {
	cfg := serverTLS(w.t, w.origins.Leaf, "yes.test")
	cfg.NextProtos = []string{"h2"}
	refusing := cfg.Clone()
	refusing.NextProtos = []string{"none"}
	cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(h.SupportedProtos, "h2") {
			return nil, nil
		}
		return refusing, nil
	}
	ln := &count{Listener: listen(w.t)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if tc := tls.Server(c, cfg); tc.Handshake() == nil {
					serve(tc)
				}
			}()
		}
	}()
	return ln
}

// streams serves the streams of a connection.
func streams(cfg h2.Config, handle func(*h2.Stream)) func(*tls.Conn) {
	return func(c *tls.Conn) { h2.NewServer(c, cfg, handle).Serve() }
}

// open lets the proxy serve the origin, and returns its authority.
func (w *world) open(ln *count) string {
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	return fmt.Sprintf("yes.test:%d", portOf(ln))
}

// agent2 is a connection of an agent that speaks HTTP/2.
func (w *world) agent2(to string) *h2.Client {
	w.t.Helper()
	c := tls.Client(w.dial().connect(to).Conn, &tls.Config{ServerName: "yes.test", RootCAs: w.trust, NextProtos: []string{"h2"}})
	cl, err := h2.NewClient(c, h2.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cl.Close() })
	return cl
}

// ask sends the head of a request; with end it is all of it.
func ask(t testing.TB, cl *h2.Client, method, to, path string, end bool, h ...http1.Field) *h2.Stream {
	t.Helper()
	head := h2.Head{Method: method, Scheme: "https", Authority: to, Path: path, Header: h}
	if method == "CONNECT" {
		head.Protocol, head.Header = "websocket", append(h, http1.Field{Name: "sec-websocket-version", Value: "13"})
	}
	s, err := cl.Open(head, end)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.Flush()
	return s
}

// headOf reads the head of an answer.
func headOf(t testing.TB, s *h2.Stream) h2.Head {
	t.Helper()
	h, err := s.ReadHead()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Requests at once are all answered where the origin allows fewer streams, over
// no more connections than mostSessions.
func TestFewStreams(t *testing.T) {
	for _, limit := range []uint32{1, 10, 50} {
		w := newWorld(t, "routes: []", nil)
		all := make(chan bool)
		ln := w.raw2(streams(h2.Config{MaxStreams: limit}, func(s *h2.Stream) {
			<-all
			s.Respond(200, nil, true)
		}))
		to := w.open(ln)
		cl := w.agent2(to)
		var asked []*h2.Stream
		for range 100 {
			asked = append(asked, ask(t, cl, "GET", to, "/", true))
		}
		eventually(t, "100 exchanges", func() bool { return w.p.inFlight() == 100 })
		close(all)
		for i, s := range asked {
			if h := headOf(t, s); h.Status != 200 {
				t.Errorf("limit %d, request %d: %d", limit, i, h.Status)
			}
		}
		if n := ln.n.Load(); n > mostSessions {
			t.Errorf("limit %d: %d connections; wanted %d at most", limit, n, mostSessions)
		}
	}
}

// A request makes few connections to an origin that keeps none open or allows no
// streams, and is answered with a fault.
func TestDialStorm(t *testing.T) {
	for name, serve := range map[string]func(*tls.Conn){
		"no streams": func(c *tls.Conn) {
			http2.NewFramer(c, c).WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0})
			io.Copy(io.Discard, c)
		},
		"GOAWAY": func(c *tls.Conn) {
			f := http2.NewFramer(c, c)
			f.WriteSettings()
			f.WriteGoAway(0, http2.ErrCodeNo, nil)
			io.Copy(io.Discard, c)
		},
		"close": func(*tls.Conn) {},
		"no HTTP/2": func(c *tls.Conn) {
			io.WriteString(c, strings.Repeat("x", 100))
			io.Copy(io.Discard, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "routes: []", nil)
			ln := w.raw2(serve)
			to := w.open(ln)
			cl := w.agent2(to)
			for range 5 {
				before := ln.n.Load()
				if h := headOf(t, ask(t, cl, "GET", to, "/", true)); h.Status != 502 {
					t.Errorf("%d; wanted 502", h.Status)
				}
				if n := ln.n.Load() - before; n > mostLost+2 {
					t.Errorf("%d connections for one request; wanted %d at most", n, mostLost+2)
				}
			}
		})
	}
}

// slowUploads takes content up to the window of the connection, which it never
// opens again, and tells when that is full. A whole request is answered.
func slowUploads(full chan<- bool) func(*tls.Conn) {
	return func(c *tls.Conn) {
		io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(c, c)
		f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		for window := 65535; ; {
			fr, err := f.ReadFrame()
			if err != nil {
				return
			}
			d, ok := fr.(*http2.DataFrame)
			if !ok {
				continue
			}
			if window -= len(d.Data()); window == 0 {
				full <- true
			}
			if d.StreamEnded() {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: d.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true, EndStream: true})
			}
		}
	}
}

// An upload that the origin does not take holds up the agent's other connections
// to the same origin not at all.
func TestSlowUpload(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	full := make(chan bool, 1)
	ln := w.raw2(slowUploads(full))
	base := "https://" + w.open(ln)
	ctx, cancel := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	slow.Go(func() {
		req, _ := http.NewRequestWithContext(ctx, "POST", base, endless{})
		if r, err := w.client(true).Do(req); err == nil {
			t.Error("the slow upload was answered: ", r.Status)
		}
	})
	defer slow.Wait()
	defer cancel()
	<-full
	r, err := w.client(true).Post(base, "text/plain", strings.NewReader("content"))
	if text(t, r, err); r.StatusCode != 200 || ln.n.Load() != 2 {
		t.Errorf("%s over %d connections; wanted 200 over 2", r.Status, ln.n.Load())
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// An agent of HTTP/1.1 that leaves while its request is sent for the second time
// ends the origin's stream.
func TestLeaveOnSecondAttempt(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	var n atomic.Int64
	begun, gone := make(chan bool), make(chan bool)
	ln := w.raw2(streams(h2.Config{}, func(s *h2.Stream) {
		if n.Add(1) == 1 {
			s.Reset(h2.RefusedStream)
			return
		}
		s.OnGone(func(error) { close(gone) })
		close(begun)
		<-gone
	}))
	to := w.open(ln)
	c := w.tunnel(to).send("GET / HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
	<-begun
	c.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the origin's stream goes on")
	}
}
