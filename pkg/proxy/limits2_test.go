package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// Limits.Answer does not end an upload that takes longer, as long as content
// comes.
func TestLongUpload(t *testing.T) {
	const answer = time.Second
	both(t, func(t *testing.T, two bool) {
		w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Answer = answer })
		to := w.open(w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(rw, n)
		})))
		t.Parallel() // behind serve, which looks at originProtos
		body, in := io.Pipe()
		go func() {
			for range 15 {
				io.WriteString(in, "0123456789")
				time.Sleep(answer / 10)
			}
			in.Close()
		}()
		r, err := w.client(two).Post("https://"+to, "text/plain", body)
		if got := text(t, r, err); got != "150" {
			t.Errorf("%s %q", r.Status, got)
		}
	})
}

// A request with little content ends in bounded time where the origin gives no
// window for it.
func TestSmallNoWindow(t *testing.T) {
	for _, two := range []bool{false, true} {
		w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Answer = 300 * time.Millisecond })
		to := w.open(w.raw2(func(c *tls.Conn) {
			http2.NewFramer(c, c).WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			io.Copy(io.Discard, c)
		}))
		r, err := w.client(two).Post("https://"+to, "text/plain", strings.NewReader("little"))
		if text(t, r, err); r.StatusCode != 504 {
			t.Errorf("HTTP/2 %v: %s; wanted 504", two, r.Status)
		}
		eventually(t, "no exchange", func() bool { return w.p.inFlight() == 0 })
	}
}

// Interim answers are handed on up to a bound, and then refused.
func TestManyInterims(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	next := make(chan bool, 2*maxInterim) // one at a time: those that wait to be read have a bound of their own
	defer close(next)
	to := w.open(w.raw2(streams(h2.Config{}, func(s *h2.Stream) {
		for range next {
			s.Interim(103, http1.Header{{Name: "link", Value: "x"}})
			s.Flush()
		}
	})))
	s := ask(t, w.agent2(to), "GET", to, "/", true)
	for n := range 2 * maxInterim {
		next <- true
		h := headOf(t, s)
		if h.Status == 103 {
			continue
		}
		if n != maxInterim || h.Status != 502 {
			t.Errorf("%d after %d interim answers; wanted 502 after %d", h.Status, n, maxInterim)
		}
		return
	}
	t.Error("no bound")
}

// An agent of HTTP/2 is refused an expectation that nobody has defined; one of a
// 100 without content to wait with is not handed on.
func TestExpect2(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	got := make(chan http.Header, 10)
	to := w.open(w.raw("yes.test", func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(br) // http1 would take the field out
			if err != nil {
				return
			}
			got <- req.Header
			io.WriteString(c, "HTTP/1.1 204 No\r\n\r\n")
		}
	}))
	cl := w.agent2(to)
	for value, want := range map[string]int{"100-continue": 204, "200-ok": 417} {
		s := ask(t, cl, "GET", to, "/", true, http1.Field{Name: "expect", Value: value})
		if h := headOf(t, s); h.Status != want {
			t.Errorf("Expect: %s: %d; wanted %d", value, h.Status, want)
		}
	}
	if n := len(got); n != 1 {
		t.Fatalf("%d requests reached the origin; wanted 1", n)
	}
	if h := <-got; h.Get("Expect") != "" {
		t.Error("handed on: ", h)
	}
}
