package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/http1"
)

// one makes a world with the one origin h behind yes.test, and its base URL.
func one(t *testing.T, h http.HandlerFunc) (*world, *count, string) {
	t.Helper()
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", h)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	return w, o, fmt.Sprintf("https://yes.test:%d", portOf(o))
}

// both runs f for HTTP/1.1 and HTTP/2 towards the agent, and for HTTP/2 with
// origins that speak it too.
func both(t *testing.T, f func(t *testing.T, h2 bool)) {
	t.Run("h1", func(t *testing.T) { f(t, false) })
	t.Run("h2", func(t *testing.T) { f(t, true) })
	t.Run("h2-h2", func(t *testing.T) {
		originProtos = []string{"h2", "http/1.1"}
		defer func() { originProtos = []string{"http/1.1"} }()
		f(t, true)
	})
}

// A body that the origin cuts is an error for the agent.
func TestCutBody(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	for name, head := range map[string]string{"length": "Content-Length: 100", "chunked": "Transfer-Encoding: chunked", "close": "X: y"} {
		ln := w.raw("", func(c net.Conn) {
			http1.ReadRequest(bufio.NewReader(c), http1.Limits{})
			io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"\r\n\r\n5\r\nhello\r\n")
			if name == "close" {
				c.(*net.TCPConn).SetLinger(0)
			}
		})
		w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
		r, err := w.client(false).Get(fmt.Sprintf("http://yes.test:%d/", portOf(ln)))
		if err == nil {
			_, err = io.ReadAll(r.Body)
		}
		if err == nil && name != "close" {
			t.Errorf("%s: no error", name)
		}
	}
	both(t, func(t *testing.T, h2 bool) {
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Write(make([]byte, 100<<10))
			rw.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		r, err := w.client(h2).Get(base)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r.Body); err == nil {
			t.Errorf("%d bytes and no error", len(b))
		}
	})
}

// Events and interim answers arrive before the next one is there.
func TestStream(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		next := make(chan bool)
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Link", "</a>")
			rw.WriteHeader(103)
			rw.Header().Set("Content-Type", "text/event-stream")
			rw.Header().Set("Trailer", "X-Sum")
			for i := range 5 {
				fmt.Fprintf(rw, "data: %d\n\n", i)
				rw.(http.Flusher).Flush()
				<-next
			}
			rw.Header().Set("X-Sum", "5")
		})
		hints := 0
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == 103 && h.Get("Link") == "</a>" {
					hints++
				}
				return nil
			}})
		req, _ := http.NewRequestWithContext(ctx, "GET", base, nil)
		r, err := w.client(h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(r.Body)
		for i := range 5 {
			if line, err := br.ReadString('\n'); line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%q %v", line, err)
			}
			br.ReadString('\n')
			next <- true
		}
		if _, err := br.ReadByte(); err != io.EOF || r.Trailer.Get("X-Sum") != "5" || hints != 1 {
			t.Errorf("%v, trailer %v, %d hints", err, r.Trailer, hints)
		}
	})
}

// A chunk whose last byte is late is not held back.
func TestStreamTornChunk(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	next := make(chan bool)
	ln := w.raw("", func(c net.Conn) {
		http1.ReadRequest(bufio.NewReader(c), http1.Limits{})
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r")
		<-next
		io.WriteString(c, "\n0\r\n\r\n")
	})
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	r, err := w.client(false).Get(fmt.Sprintf("http://yes.test:%d/", portOf(ln)))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(r.Body, b); err != nil {
		t.Fatal(err)
	}
	close(next)
	text(t, r, nil)
}

// Statuses and methods that have no content, or odd ones.
func TestStatuses(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			status := 0
			fmt.Sscanf(r.URL.Path, "/%d", &status)
			rw.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
			rw.Header().Set("ETag", `"x"`)
			if status == 200 {
				rw.Header().Set("Content-Length", "7")
			}
			rw.WriteHeader(status)
			if status == 200 && r.Method != "HEAD" {
				io.WriteString(rw, "content")
			}
		})
		client := w.client(h2)
		for _, c := range []struct {
			method string
			status int
		}{{"HEAD", 200}, {"GET", 204}, {"GET", 304}, {"GET", 200}, {"PROPFIND", 207}, {"GET", 302}, {"DELETE", 599}, {"OPTIONS", 200}} {
			req, _ := http.NewRequest(c.method, fmt.Sprintf("%s/%d", base, c.status), nil)
			r, err := client.Do(req)
			b := text(t, r, err)
			if r.StatusCode != c.status || len(r.Header["Set-Cookie"]) != 2 || c.status == 200 && r.ContentLength != 7 ||
				(b != "") != (c.status == 200 && c.method != "HEAD") {
				t.Errorf("%v: %d %q %v", c, r.StatusCode, b, r.Header)
			}
		}
	})
}

func TestExpectContinue(t *testing.T) {
	w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			rw.WriteHeader(417)
			return
		}
		if r.Header.Get("Expect") != "100-continue" {
			rw.WriteHeader(500)
		}
		io.Copy(rw, r.Body)
	})
	for path, status := range map[string]int{"/yes": 200, "/no": 417} {
		body := &counted{r: strings.NewReader("content")}
		req, _ := http.NewRequest("POST", base+path, body)
		req.ContentLength = 7
		req.Header.Set("Expect", "100-continue")
		r, err := w.client(false).Do(req)
		b := text(t, r, err)
		if r.StatusCode != status || (b == "content") != (status == 200) || (body.n.Load() > 0) != (status == 200) {
			t.Errorf("%s: %d %q, %d bytes sent", path, r.StatusCode, b, body.n.Load())
		}
	}
}

type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// Both directions at once: the answer begins before the request has ended, and
// neither is bounded by the time for the head of an answer.
func TestBothWays(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Answer = 400 * time.Millisecond })
		o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			http.NewResponseController(rw).EnableFullDuplex()
			rw.WriteHeader(200)
			rw.(http.Flusher).Flush()
			b := make([]byte, 1)
			for {
				if _, err := io.ReadFull(r.Body, b); err != nil {
					return
				}
				if b[0] == 'p' {
					time.Sleep(600 * time.Millisecond) // longer than the limit
				}
				rw.Write(b)
				rw.(http.Flusher).Flush()
			}
		}))
		w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
		pr, pw := io.Pipe()
		r, err := w.client(h2).Post(fmt.Sprintf("https://yes.test:%d/", portOf(o)), "x/y", pr)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		for _, c := range "abcpd" {
			pw.Write([]byte{byte(c)})
			if _, err := io.ReadFull(r.Body, b); err != nil || b[0] != byte(c) {
				t.Fatalf("%c: %q %v", c, b, err)
			}
		}
		pw.Close()
		text(t, r, nil)
	})
}

// An agent that leaves, before or within an answer: the origin sees it at once.
func TestAgentLeaves(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		gone, here := make(chan bool, 2), make(chan bool, 2)
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/begun" {
				rw.(http.Flusher).Flush()
			}
			here <- true
			<-r.Context().Done()
			gone <- true
		})
		for _, path := range []string{"/silent", "/begun"} {
			ctx, cancel := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, "GET", base+path, nil)
			go func() { w.client(h2).Do(req) }()
			<-here
			start := time.Now()
			cancel()
			<-gone
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("%s: after %v", path, d)
			}
		}
	})
}

// 200 tables under load: no request fails, a stream lives on; a route that is
// taken away ends its stream, and is refused on the same connection.
func TestReloadUnderLoad(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w, o, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/stream" {
				hello(rw, r)
				return
			}
			rw.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		client := w.client(h2)
		stream, err := client.Get(base + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := io.ReadAll(stream.Body); ended <- err }()
		stop, done := make(chan bool), make(chan error, 4)
		for i := range 4 {
			go func() { done <- load(client, base, i%2 == 0, stop) }()
		}
		for i := range 200 {
			w.routes("routes: [{host: yes.test, ports: [%d]}, {host: n%d.test}]", portOf(o), i)
		}
		close(stop)
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("the stream ended: %v", err)
		default:
		}
		start := time.Now()
		w.routes("routes: []")
		if err := <-ended; err == nil || time.Since(start) > time.Second {
			t.Errorf("the stream ended with %v after %v", err, time.Since(start))
		}
		r, err := client.Get(base)
		if text(t, r, err); r.StatusCode != 403 {
			t.Errorf("%d", r.StatusCode)
		}
	})
}

// load asks until stop: for what is allowed, or for what is refused.
func load(client *http.Client, base string, allowed bool, stop chan bool) error {
	url, want := base, 200
	if !allowed {
		url, want = "https://no.test/", 403
	}
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		r, err := client.Get(url)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != want {
			return errors.Join(err, fmt.Errorf("%s: status %d", url, r.StatusCode))
		}
	}
}

func TestDrain(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		here, goOn := make(chan bool, 1), make(chan bool)
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			here <- true
			<-goOn
			io.WriteString(rw, "whole")
		})
		w.tunnel("no.test:443") // idle
		got := make(chan string)
		go func() {
			r, err := w.client(h2).Get(base)
			got <- text(t, r, err)
		}()
		<-here
		drained := make(chan bool)
		go func() { w.p.Drain(context.Background()); close(drained) }()
		eventually(t, "drain", w.p.drain.Load)
		close(goOn)
		if b := <-got; b != "whole" {
			t.Errorf("%q", b)
		}
		<-drained
	})
}

// After 2000 connections of every kind, goroutines and descriptors are back.
func TestNothingLeft(t *testing.T) {
	w, _, base := one(t, hello)
	to := strings.TrimPrefix(base, "https://")
	text(t, must(w.client(false).Get(base)), nil)
	base0 := func() (int, int) {
		fds, _ := os.ReadDir("/proc/self/fd")
		return runtime.NumGoroutine(), len(fds)
	}
	eventually(t, "quiet", func() bool { return w.p.count.conns.Load() <= 1 })
	g0, f0 := base0()
	for i := range 2000 {
		c := w.dial()
		switch i % 5 {
		case 0:
			c.send("GET http://no.test/ HTTP/1.1\r\nHost: no.test\r\n\r\n").wantStatus("GET", 403)
		case 1:
			c.send("CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n\x16\x03\x01")
		case 2:
			c.send("GET http://no.te")
		case 3:
			c.Conn.(*net.TCPConn).SetLinger(0)
		case 4:
			if i%50 == 4 {
				s := c.connect(to).tls(w, "yes.test").send("GET / HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
				s.wantStatus("GET", 200)
			}
		}
		c.Close()
	}
	eventually(t, "all connections gone", func() bool {
		g, f := base0()
		return g <= g0+4 && f <= f0+2+2*idlePerHost && w.p.count.conns.Load() <= 1
	})
}

func must(r *http.Response, err error) *http.Response {
	if err != nil {
		panic(err)
	}
	return r
}

// One line an exchange; no value of a query, no second line by a newline.
func TestAccessLog(t *testing.T) {
	w, _, base := one(t, hello)
	to := strings.TrimPrefix(base, "https://")
	r, err := w.client(true).Get(base + "/p?key=value&bare")
	text(t, r, err)
	w.wantLines(1) // it is written when the answer is on its way
	w.tunnel(to).send("GET /\"%0a{}\xff HTTP/1.1\r\nHost: "+to+"\r\n\r\n").wantStatus("GET", 400)
	w.wantLines(2)
	w.tunnel(to).send("G'\"x /\"%0a{}?\"} HTTP/1.1\r\nHost: "+to+"\r\n\r\n").wantStatus("GET", 400)
	lines := w.wantLines(3)
	l := lines[0]
	if l.Path != "/p?key&..." || l.Route != "yes.test" || l.Verdict != "allow" || l.Status != 200 || l.Method != "GET" || l.AgentProto != "h2" ||
		l.UpstreamProto != "http/1.1" || l.Received == 0 || l.Bottle != "web" || l.ID == "" || l.Scheme != "https" {
		t.Errorf("%+v", l)
	}
	var b strings.Builder
	log := Lines{W: &b}
	for i := range lines {
		log.Log(&lines[i])
	}
	eventually(t, "all lines", func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return strings.Count(b.String(), "\n") == len(lines)
	})
	if strings.Count(b.String(), "\n") != len(lines) || strings.Contains(b.String(), "value") {
		t.Error(b.String())
	}
}

// Agents that dawdle are answered, or cut, and others do not wait for them.
func TestSlowAgents(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) {
		c.Limits.HeadTime, c.Limits.Handshake, c.Limits.Stall = 200*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	})
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(rw, r.Body) }))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	w.dial().send("GET http").wantStatus("GET", 408)
	w.dial().connect(to).wantEnd()
	w.dial().connect(to).send("\x16\x03").wantEnd()
	w.tunnel(to).send("GET / H").wantStatus("GET", 408)
	w.tunnel(to).send("POST / HTTP/1.1\r\nHost: "+to+"\r\nContent-Length: 9\r\n\r\nabc").wantStatus("POST", 400)
}
