package h2

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

const long = 64 << 20

// noise is n bytes that are the same each time.
func noise(n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1}), n)
}

var noiseSum = sync.OnceValue(func() string { return sum(noise(long)) })

// sum reads to the end and gives the digest, or the error.
func sum(r io.Reader) string {
	h := sha256.New()
	n, err := io.Copy(h, struct{ io.Reader }{r})
	return fmt.Sprintf("%d %x %v", n, h.Sum(nil), err)
}

// slow sleeps now and then, with the windows full meanwhile.
type slow struct {
	io.Reader
	n int
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(len(p), 10_000)])
	if s.n += n; s.n > 16<<20 {
		s.n = 0
		time.Sleep(50 * time.Millisecond)
	}
	return n, err
}

func TestLongBodiesGoClient(t *testing.T) {
	w := newSite(t, Config{}, func(s *Stream) {
		if s.Head().Method == "POST" {
			got := sum(&slow{Reader: s})
			s.Respond(200, nil, false)
			io.WriteString(s, got)
			s.End(nil)
			return
		}
		s.Respond(200, http1.Header{{Name: "Content-Length", Value: fmt.Sprint(long)}}, false)
		if _, err := io.Copy(struct{ io.Writer }{s}, noise(long)); err == nil {
			s.End(nil)
		}
	})
	client := goClient(t)
	resp, err := client.Post(w.url, "", noise(long))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(resp.Body); string(got) != noiseSum() {
		t.Errorf("up: %s; wanted %s", got, noiseSum())
	}
	resp, err = client.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	if got := sum(&slow{Reader: resp.Body}); got != noiseSum() {
		t.Errorf("down: %s; wanted %s", got, noiseSum())
	}
}

func TestLongBodiesGoServer(t *testing.T) {
	addr := goServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			io.WriteString(w, sum(&slow{Reader: r.Body}))
			return
		}
		io.Copy(w, noise(long))
	}))
	cl := dial(t, addr, Config{})
	s, err := cl.Open(Head{Method: "POST", Scheme: "https", Authority: addr, Path: "/"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := io.Copy(struct{ io.Writer }{s}, noise(long)); err != nil || n != long {
		t.Fatal(n, err)
	}
	s.End(nil)
	s.ReadHead()
	if got, err := io.ReadAll(s); string(got) != noiseSum() || err != nil {
		t.Errorf("up: %s %v; wanted %s", got, err, noiseSum())
	}
	s = get(t, cl, "GET")
	s.ReadHead()
	if got := sum(&slow{Reader: s}); got != noiseSum() {
		t.Errorf("down: %s; wanted %s", got, noiseSum())
	}
}

// Many streams at once on one connection, one of which nobody reads.
func TestManyStreams(t *testing.T) {
	w := newSite(t, Config{}, func(s *Stream) {
		s.Respond(200, nil, false)
		if _, err := io.Copy(struct{ io.Writer }{s}, noise(300_000)); err == nil {
			s.End(http1.Header{{Name: "X-Trailer", Value: s.Head().Path}})
		}
	})
	want := sum(noise(300_000))
	client := goClient(t)
	unread, err := client.Get(w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Body.Close()
	ours := dial(t, w.ln.Addr().String(), Config{})
	get(t, ours, "GET")
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			resp, err := client.Get(fmt.Sprint(w.url, "/", i))
			if err != nil {
				t.Error(err)
				return
			}
			if got := sum(resp.Body); got != want || resp.Trailer.Get("X-Trailer") != fmt.Sprint("/", i) {
				t.Errorf("%d: %s %v", i, got, resp.Trailer)
			}
		}()
		go func() {
			defer wg.Done()
			var s *Stream
			var err error
			for { // the unread stream is one of the hundred
				s, err = ours.Open(Head{Method: "GET", Scheme: "https", Authority: "a", Path: fmt.Sprint("/", i)}, true)
				if !errors.Is(err, ErrNotSent) {
					break
				}
				runtime.Gosched()
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.ReadHead(); err != nil {
				t.Error(err)
				return
			}
			if got := sum(s); got != want || s.Trailer().Get("x-trailer") != fmt.Sprint("/", i) {
				t.Errorf("%d: %s %v", i, got, s.Trailer())
			}
		}()
	}
	wg.Wait()
}

// Interim answers, a 100 among them, and trailers in both directions.
func TestInterim(t *testing.T) {
	w := newSite(t, Config{}, func(s *Stream) {
		s.Interim(103, http1.Header{{Name: "Link", Value: "</a>"}})
		if s.Head().Header.Get("expect") == "100-continue" {
			s.Interim(100, nil)
		}
		b, err := io.ReadAll(s)
		if err != nil {
			t.Error(err)
		}
		s.Respond(200, http1.Header{{Name: "Trailer", Value: "X-Sum"}}, false)
		s.Write(b)
		s.End(http1.Header{{Name: "X-Sum", Value: s.Trailer().Get("x-in")}})
	})
	var hints []string
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h.Get("Link")))
			return nil
		},
	})
	req, _ := http.NewRequestWithContext(ctx, "POST", w.url, struct{ io.Reader }{strings.NewReader("body")})
	req.Header.Set("Expect", "100-continue")
	req.Trailer = http.Header{"X-In": {"value"}}
	resp, err := goClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if string(b) != "body" || err != nil || resp.Trailer.Get("X-Sum") != "value" || fmt.Sprint(hints) != "[103</a> 100]" {
		t.Errorf("%q %v %v %v", b, err, resp.Trailer, hints)
	}
}

// A stream both ways, where each message waits for the one before.
func TestBothWays(t *testing.T) {
	w := newSite(t, Config{}, echo)
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", w.url, pr)
	resp, err := goClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		msg := fmt.Sprintf("message %03d", i)
		io.WriteString(pw, msg)
		buf := make([]byte, len(msg))
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != msg {
			t.Fatalf("%q %v; wanted %q", buf, err, msg)
		}
	}
	pw.Close()
	if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

// A client that leaves is seen at once, and a handler that gives up too.
func TestResets(t *testing.T) {
	gone := make(chan error, 1)
	w := newSite(t, Config{}, func(s *Stream) {
		s.OnGone(func(err error) { gone <- err })
		s.Respond(200, nil, false)
		io.WriteString(s, "part")
		s.Flush()
		if s.Head().Path == "/abort" {
			return
		}
		_, err := s.Write(make([]byte, long))
		if err == nil {
			t.Error("a write to a client that has left")
		}
	})
	client := goClient(t)
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", w.url, nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	resp.Body.Close()
	var se *StreamError
	if err := <-gone; !errors.As(err, &se) || !se.Remote || se.Code != Cancel {
		t.Error(err)
	}
	resp, err = client.Get(w.url + "/abort")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	var reset http2.StreamError
	if string(b) != "part" || !errors.As(err, &reset) || reset.Code != http2.ErrCodeInternal {
		t.Errorf("%q %v", b, err)
	}
}

// Shutdown lets what is in flight finish, and the client sends no more.
func TestShutdown(t *testing.T) {
	begun, release := make(chan bool), make(chan bool)
	a, b := pair(t)
	srv := NewServer(b, Config{}, func(s *Stream) {
		begun <- true
		<-release
		count(s)
	})
	done := make(chan error, 1)
	go func() { done <- srv.Serve() }()
	cl, err := NewClient(a, Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := get(t, cl, "GET")
	<-begun
	if srv.Idle() || srv.Streams() != 1 {
		t.Error("idle with a stream")
	}
	srv.Shutdown()
	srv.Shutdown()
	eventually(t, "GOAWAY", func() bool { return !cl.Usable() })
	if _, err := cl.Open(Head{Method: "GET", Scheme: "https", Path: "/"}, true); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	close(release)
	if got := answer(s); got != `200/-1 "0"` {
		t.Error(got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	eventually(t, "the client's end", func() bool { return cl.Err() != nil })
}

// A request that crosses GOAWAY on its way is served: the first one names no
// stream, and the last only what has come.
func TestShutdownCrossing(t *testing.T) {
	w, s, done := atServer(t, Config{}, count)
	w.greet()
	s.Shutdown()
	var ping [8]byte
	w.until("PING", func(f http2.Frame) bool {
		if p, ok := f.(*http2.PingFrame); ok {
			ping = p.Data
			return true
		}
		return false
	})
	w.works()
	w.fr.WritePing(true, ping)
	w.until("the last GOAWAY", func(f http2.Frame) bool {
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == 1
	})
	w.open(true, getHead...)
	if got := w.outcome(3); !strings.HasPrefix(got, "closed") {
		t.Errorf("a request after the last GOAWAY: %s", got)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	done <- nil
}

// The server that says GOAWAY is net/http's.
func TestGoServerShutdown(t *testing.T) {
	begun, release := make(chan bool), make(chan bool)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", testTLS())
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- true
		<-release
		io.WriteString(w, "done")
	})}
	http2.ConfigureServer(srv, nil)
	go srv.Serve(ln)
	cl := dial(t, ln.Addr().String(), Config{})
	s := get(t, cl, "GET")
	<-begun
	go srv.Shutdown(context.Background())
	eventually(t, "GOAWAY", func() bool { return !cl.Usable() })
	close(release)
	if got := answer(s); got != `200/4 "done"` {
		t.Error(got)
	}
	eventually(t, "the connection's end", func() bool { return cl.Err() != nil })
}
