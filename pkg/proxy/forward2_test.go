package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// http2World is a proxy with one origin that offers HTTP/2.
func http2World(t *testing.T, h http.HandlerFunc) (*world, *count, string) {
	originProtos = []string{"h2", "http/1.1"}
	defer func() { originProtos = []string{"http/1.1"} }()
	return one(t, h)
}

// The requests of an agent that speaks HTTP/2 share a connection to an origin
// that speaks it too; those of one that speaks HTTP/1.1 go as HTTP/1.1.
func TestProtocolOfBothLegs(t *testing.T) {
	w, o, base := http2World(t, func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.Proto) })
	c := w.client(true)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r, err := c.Get(base); text(t, r, err) != "HTTP/2.0" {
				t.Error("not HTTP/2")
			}
		})
	}
	wg.Wait()
	if n := o.n.Load(); n != 1 {
		t.Errorf("%d connections; wanted 1", n)
	}
	w.wantLines(50) // a line may be written after its answer was read
	if r, err := w.client(false).Get(base); text(t, r, err) != "HTTP/1.1" {
		t.Error("not HTTP/1.1")
	}
	for i, l := range w.wantLines(51) {
		if want := [2]string{"h2", "http/1.1"}[i/50]; l.AgentProto != want || l.UpstreamProto != want {
			t.Errorf("%d: %+v", i, l)
		}
	}
}

// README: HTTP/2 passes as it is, streams both ways and trailers too, as gRPC
// needs them.
func TestStreamBothWays(t *testing.T) {
	w, _, base := http2World(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Trailer", "Grpc-Status")
		rw.Header().Set("Te-Seen", r.Header.Get("Te"))
		http.NewResponseController(rw).Flush()
		b := make([]byte, 100)
		for {
			n, err := r.Body.Read(b)
			rw.Write(b[:n])
			http.NewResponseController(rw).Flush()
			if err != nil {
				break
			}
		}
		rw.Header().Set("Grpc-Status", "7")
		rw.Header().Set(http.TrailerPrefix+"Late", r.Trailer.Get("Agent-Last"))
	})
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", base, pr)
	req.Header.Set("Te", "trailers")
	req.Trailer = http.Header{"Agent-Last": {"word"}}
	r, err := w.client(true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b := make([]byte, 100)
	for i := range 50 {
		msg := fmt.Sprint("message ", i)
		io.WriteString(pw, msg)
		if _, err := io.ReadFull(r.Body, b[:len(msg)]); err != nil || string(b[:len(msg)]) != msg {
			t.Fatalf("%q %v", b, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(r.Body); len(rest) > 0 || err != nil {
		t.Fatalf("%q %v", rest, err)
	}
	if r.Header.Get("Te-Seen") != "trailers" || r.Trailer.Get("Grpc-Status") != "7" || r.Trailer.Get("Late") != "word" {
		t.Errorf("%v %v", r.Header, r.Trailer)
	}
}

// When the agent cancels, the origin's stream ends; when the origin's stream
// breaks off, so does the agent's.
func TestResets(t *testing.T) {
	gone := make(chan struct{})
	w, _, base := http2World(t, func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "begun")
		http.NewResponseController(rw).Flush()
		if r.URL.Path == "/break" {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done()
		close(gone)
	})
	r, err := w.client(true).Get(base + "/break")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r.Body); err == nil {
		t.Errorf("%q without an error", b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", base, nil)
	if r, err = w.client(true).Do(req); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-gone
}

// rawHTTP2 is an origin for which serve makes each connection's handler.
func (w *world) rawHTTP2(handle func(n int64, s *h2.Stream)) (*count, chan *h2.ServerConn) {
	conns := make(chan *h2.ServerConn, 10)
	var ln *count
	originProtos = []string{"h2", "http/1.1"}
	defer func() { originProtos = []string{"http/1.1"} }()
	cfg := serverTLS(w.t, w.origins.Leaf, "yes.test")
	ln = &count{Listener: listen(w.t)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n := ln.n.Load()
			go func() {
				tc := tls.Server(c, cfg)
				if tc.Handshake() != nil {
					return
				}
				if tc.ConnectionState().NegotiatedProtocol != "h2" {
					echo(tc)
					return
				}
				sc := h2.NewServer(tc, h2.Config{Extended: true}, func(s *h2.Stream) { handle(n, s) })
				conns <- sc
				sc.Serve()
			}()
		}
	}()
	return ln, conns
}

// What an origin certainly did not process is sent again, once the connection
// was given up; what it may have processed is not.
func TestNotProcessed(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	refused := 0
	ln, conns := w.rawHTTP2(func(n int64, s *h2.Stream) {
		head := s.Head()
		switch {
		case head.Path == "/refused" && refused == 0:
			refused++
			s.Reset(h2.RefusedStream)
		case head.Path == "/broken":
			s.Reset(h2.InternalError)
		default:
			s.Respond(200, nil, false)
			s.Write([]byte("ok"))
			s.End(nil)
		}
	})
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	base := fmt.Sprintf("https://yes.test:%d", portOf(ln))
	c := w.client(true)
	for _, path := range []string{"/", "/refused"} {
		if r, err := c.Get(base + path); text(t, r, err) != "ok" {
			t.Error(path, r.Status)
		}
	}
	r, err := c.Get(base + "/broken")
	if text(t, r, err); r.StatusCode != 502 {
		t.Error(r.Status)
	}
	(<-conns).Shutdown()
	for range 20 {
		if r, err := c.Get(base); text(t, r, err) != "ok" {
			t.Error("after GOAWAY", r.Status)
		}
	}
	if n := ln.n.Load(); n != 2 {
		t.Errorf("%d connections; wanted 2", n)
	}
}

// extended is an extended CONNECT through the proxy.
func (w *world) extended(to, path, protocol string) (*h2.Stream, h2.Head, error) {
	w.t.Helper()
	c := tls.Client(w.dial().connect(to).Conn, &tls.Config{ServerName: "yes.test", RootCAs: w.trust, NextProtos: []string{"h2"}})
	cl, err := h2.NewClient(c, h2.Config{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cl.Close() })
	s, err := cl.Open(h2.Head{Method: "CONNECT", Protocol: protocol, Scheme: "https", Authority: to, Path: path,
		Header: http1.Header{{Name: "sec-websocket-version", Value: "13"}, {Name: "origin", Value: "https://x.test"}}}, false)
	if err != nil {
		return nil, h2.Head{}, err
	}
	s.Flush()
	h, err := s.ReadHead()
	return s, h, err
}

// A WebSocket of RFC 8441 goes on as such where the origin has it, and as an
// upgrade of HTTP/1.1 where not. The policy is that of the GET it stands for.
func TestExtendedConnect(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	two, _ := w.rawHTTP2(func(_ int64, s *h2.Stream) {
		if h := s.Head(); h.Protocol != "websocket" || h.Method != "CONNECT" || h.Path != "/ws" {
			s.Respond(400, nil, true)
			return
		}
		s.Respond(200, nil, false)
		s.Write([]byte("first"))
		s.Flush()
		stream{s}.copyTo(stream{s})
		s.End(nil)
	})
	one := w.raw("yes.test", acceptEcho)
	for name, ln := range map[string]*count{"HTTP/2": two, "HTTP/1.1": one} {
		t.Run(name, func(t *testing.T) {
			w.routes("routes: [{host: yes.test, ports: [%d], methods: [GET], path_allowlist: [/ws]}]", portOf(ln))
			to := fmt.Sprintf("yes.test:%d", portOf(ln))
			s, h, err := w.extended(to, "/ws", "websocket")
			if err != nil || h.Status != 200 {
				t.Fatalf("%+v %v", h, err)
			}
			want := "first" + strings.Repeat("0123456789abcdef", 1<<16)
			go func() {
				s.Write([]byte(want[len("first"):]))
				s.Flush()
			}()
			b := make([]byte, len(want))
			if _, err := io.ReadFull(s, b); err != nil || string(b) != want {
				t.Fatal("the messages did not come back", err)
			}
			w.p.SetTable(table(t, "routes: []"))
			if _, err := io.ReadAll(s); err == nil {
				t.Error("no error after the route was taken away")
			}
			w.routes("routes: [{host: yes.test, ports: [%d], methods: [GET], path_allowlist: [/ws]}]", portOf(ln))
			if _, h, err := w.extended(to, "/other", "websocket"); err != nil || h.Status != 403 {
				t.Errorf("%+v %v", h, err)
			}
			if _, h, err := w.extended(to, "/ws", "connect-udp"); err != nil || h.Status != 403 {
				t.Errorf("%+v %v", h, err)
			}
		})
	}
}

// acceptEcho is echo with the right answer to the key.
func acceptEcho(c net.Conn) {
	br := bufio.NewReader(c)
	req, err := http1.ReadRequest(br, http1.Limits{})
	if err != nil || req.Method != "GET" || req.Header.Get("Upgrade") != "websocket" {
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+
		acceptKey(req.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\nfirst")
	io.Copy(c, br)
}

// An origin that refuses HTTP/1.1 in the handshake is spoken to in HTTP/2, for
// an agent of HTTP/1.1 too.
func TestOnlyHTTP2(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	ln := &count{Listener: listen(t)}
	cfg := serverTLS(t, w.origins.Leaf, "yes.test")
	cfg.NextProtos = []string{"h2"}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				if ln.n.Load() == 1 {
					c.Read(make([]byte, 100))
					c.Write([]byte{21, 3, 3, 0, 2, 2, 120}) // the alert no_application_protocol
					c.Close()
					return
				}
				h2.NewServer(tls.Server(c, cfg), h2.Config{}, func(s *h2.Stream) {
					b, _ := io.ReadAll(s)
					s.Respond(200, nil, false)
					s.Write(b)
					s.End(http1.Header{{Name: "last", Value: "word"}})
				}).Serve()
			}()
		}
	}()
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	r, err := w.client(false).Post(fmt.Sprintf("https://yes.test:%d", portOf(ln)), "", strings.NewReader("content"))
	if b := text(t, r, err); b != "content" || r.ProtoMajor != 1 || r.Trailer.Get("Last") != "word" {
		t.Errorf("%s %q %v", r.Status, b, r.Trailer)
	}
	if l := w.wantLines(1)[0]; l.AgentProto != "http/1.1" || l.UpstreamProto != "h2" {
		t.Errorf("%+v", l)
	}
}
