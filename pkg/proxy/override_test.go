package proxy

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// A field that would have the origin take another path or method is refused
// where the route restricts that, and passed on where it does not.
func TestOverrideFields(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	for routes, cases := range map[string]map[string]string{
		`path_allowlist: [/ok]`: {"X-Original-URL": codeOverride, "x_rewrite_url": codeOverride, "X-HTTP-Method-Override": ""},
		`methods: [GET]`:        {"X-Original-URL": "", "X-HTTP-Method-Override": codeOverride, "X-Method-Override": codeOverride},
		`note: open`:            {"X-Original-URL": "", "X-HTTP-Method": ""},
	} {
		w.routes("routes: [{host: yes.test, ports: [%d], %s}]", portOf(o), routes)
		for field, want := range cases {
			req, _ := http.NewRequest("GET", fmt.Sprintf("https://yes.test:%d/ok", portOf(o)), nil)
			req.Header[field] = []string{"/secret"}
			r, err := w.client(false).Do(req)
			text(t, r, err)
			if got := r.Header.Get(ReasonHeader); got != want {
				t.Errorf("%s, %s: %q; wanted %q", routes, field, got, want)
			}
		}
	}
}

// An HTTP/2 request whose content stalls before the answer is refused in time; a
// stream whose answer has begun may be silent.
func TestStall2(t *testing.T) {
	const stall = 300 * time.Millisecond
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Stall = stall })
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/early" {
			http.NewResponseController(rw).EnableFullDuplex()
			rw.WriteHeader(200)
			rw.(http.Flusher).Flush()
		}
		b, _ := io.ReadAll(r.Body)
		rw.Write(b)
	}))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	post := func(path string, body io.Reader) (*http.Response, error) {
		return w.client(true).Post(fmt.Sprintf("https://yes.test:%d%s", portOf(o), path), "text/plain", body)
	}
	never, _ := io.Pipe()
	start := time.Now()
	if r, err := post("/", never); err == nil && r.StatusCode != 400 || time.Since(start) > 10*stall {
		t.Errorf("a stalled request: %v, %v after %v", r, err, time.Since(start))
	}
	body, in := io.Pipe()
	go func() {
		time.Sleep(3 * stall)
		io.WriteString(in, "late")
		in.Close()
	}()
	r, err := post("/early", body)
	if got := text(t, r, err); got != "late" {
		t.Errorf("a silent stream: %q", got)
	}
}

// Connections to origins are bounded, and a slot is free again when one ends.
func TestOriginSlots(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Origins, c.Limits.Dial = 1, 300*time.Millisecond })
	hold := make(chan struct{})
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Connection", "close")
		rw.(http.Flusher).Flush()
		if r.URL.Path == "/hold" {
			<-hold
		}
	}))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	get := func(path string) *http.Response {
		r, err := w.client(false).Get(fmt.Sprintf("https://yes.test:%d%s", portOf(o), path))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := get("/hold")
	if r := get("/"); r.StatusCode != 504 {
		t.Errorf("over the limit: %d; wanted 504", r.StatusCode)
	}
	close(hold)
	io.Copy(io.Discard, first.Body)
	first.Body.Close()
	for i := range 5 {
		if r := get("/"); r.StatusCode != 200 {
			t.Errorf("%d: %d; the slot was not given back", i, r.StatusCode)
		}
	}
}

// Connections of both sides together are bounded: agents that hold nothing but
// idle ones leave room for origins.
func TestSockets(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) {
		c.Limits.Conns, c.Limits.Sockets, c.Limits.Dial = 7, 8, 300*time.Millisecond
	})
	hold, held := make(chan struct{}), make(chan struct{})
	o := origin(t, nil, "", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			close(held)
			<-hold
		}
	}))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	get := func(path string) string {
		return "GET http://" + to + path + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n"
	}
	for range 5 {
		w.dial()
	}
	first, second := w.dial(), w.dial()
	first.send(get("/hold"))
	<-held
	second.send(get("/")).wantStatus("GET", 504)
	close(hold)
	first.wantStatus("GET", 200)
	second.send(get("/")).wantStatus("GET", 200)
}
