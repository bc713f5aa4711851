package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bottle/pkg/route"
)

// However many ask at once, a route lets through as many as it was granted for;
// the refusal says so.
func TestMaxUses(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w := newWorld(t, "routes: []", nil)
		o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {}))
		w.routes("routes: [{host: yes.test, ports: [%d], path_allowlist: [/ok], max_uses: 5}]", portOf(o))
		url := fmt.Sprintf("https://yes.test:%d", portOf(o))
		client := w.client(h2)
		get := func(path string) (int, string) {
			r, err := client.Get(url + path)
			body := text(t, r, err)
			if r.StatusCode != 200 {
				return r.StatusCode, r.Header.Get(ReasonHeader) + " " + body
			}
			return 200, ""
		}
		if status, _ := get("/other"); status != 403 {
			t.Fatalf("status %d", status)
		}
		var passed, refused atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				r, err := client.Get(url + "/ok")
				if err != nil {
					t.Error(err)
					return
				}
				r.Body.Close()
				if r.StatusCode == 200 {
					passed.Add(1)
				} else {
					refused.Add(1)
				}
			})
		}
		all.Wait()
		if passed.Load() != 5 || refused.Load() != 15 || w.p.Uses()["yes.test"] != 5 {
			t.Errorf("%d passed, %d refused, uses %v; wanted 5 and 15", passed.Load(), refused.Load(), w.p.Uses())
		}
		_, body := get("/ok")
		for _, want := range []string{route.RouteUsedUp + " ", "route 'yes.test' is used up: it was granted for 5 uses", "To ask for it again, call the MCP tool egress-proxy-block"} {
			if !strings.Contains(body, want) {
				t.Errorf("%q\nlacks %q", body, want)
			}
		}
	})
}

// The count stays over reloads as long as the host has a route with max_uses,
// and no longer.
func TestMaxUsesReload(t *testing.T) {
	var told atomic.Value
	w := newWorld(t, "routes: []", func(c *Config) {
		c.Used = func(uses map[string]int64) { told.Store(uses) }
	})
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {}))
	client := w.client(false)
	want := func(status int) {
		t.Helper()
		r, err := client.Get(fmt.Sprintf("https://yes.test:%d/", portOf(o)))
		text(t, r, err)
		if r.StatusCode != status {
			t.Errorf("status %d; wanted %d", r.StatusCode, status)
		}
	}
	with := func(more string) { w.routes("routes: [{host: yes.test, ports: [%d]%s}]", portOf(o), more) }
	with(", max_uses: 2")
	want(200)
	want(200)
	with(", max_uses: 2, note: changed")
	want(403)
	with(", max_uses: 3")
	want(200)
	want(403)
	eventually(t, "Used is told of 3 uses", func() bool {
		uses, _ := told.Load().(map[string]int64)
		return uses["yes.test"] == 3
	})
	with("")
	want(200)
	if uses := w.p.Uses(); uses != nil {
		t.Errorf("uses %v of a table without max_uses", uses)
	}
	with(", max_uses: 1")
	want(200)
	want(403)
}

// A request that took the last use goes on when the table is read again.
func TestMaxUsesInFlight(t *testing.T) {
	here, on := make(chan bool, 1), make(chan bool)
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		here <- true
		<-on
	}))
	with := func(n int) { w.routes("routes: [{host: yes.test, ports: [%d], max_uses: %d}]", portOf(o), n) }
	with(1)
	c := w.tunnel(fmt.Sprintf("yes.test:%d", portOf(o)))
	c.send(fmt.Sprintf("GET / HTTP/1.1\r\nHost: yes.test:%d\r\n\r\n", portOf(o)))
	<-here
	with(1)
	close(on)
	c.wantStatus("GET", 200)
}

// A request of which nothing was sent is no use, however late it was refused; one
// that may have arrived is.
func TestMaxUsesNothingSent(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w := newWorld(t, "routes: []", nil)
		var lose atomic.Bool
		o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if lose.Load() {
				panic(http.ErrAbortHandler)
			}
		}))
		closed := listen(t)
		closed.Close()
		client := w.client(h2)
		ask := func(port int, field, value string) int {
			t.Helper()
			req, err := http.NewRequest("GET", fmt.Sprintf("https://yes.test:%d/", port), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(field, value)
			r, err := client.Do(req)
			text(t, r, err)
			return r.StatusCode
		}
		for _, c := range []struct {
			what, route string
			port        int
			field       string
			status      int
		}{
			{"another path by a field", "path_allowlist: [/]", portOf(o), "X-Original-URL", 403},
			{"another method by a field", "methods: [GET]", portOf(o), "X-HTTP-Method", 403},
			{"a credential that is not there", "auth_scheme: Bearer, token_env: NONE", portOf(o), "X", 502},
			{"an origin that is not there", "note: x", portOf(closed), "X", 502},
		} {
			w.routes("routes: [{host: yes.test, ports: [%d], max_uses: 1, %s}]", c.port, c.route)
			for range 3 {
				if got := ask(c.port, c.field, "/x"); got != c.status || w.p.Uses()["yes.test"] != 0 {
					t.Errorf("%s: status %d, uses %v; wanted %d and none", c.what, got, w.p.Uses(), c.status)
				}
			}
		}
		w.routes("routes: [{host: yes.test, ports: [%d], max_uses: 2}]", portOf(o))
		lose.Store(true)
		if got := ask(portOf(o), "X", "x"); got != 502 || w.p.Uses()["yes.test"] != 1 {
			t.Errorf("an answer that was lost: status %d, uses %v", got, w.p.Uses())
		}
		lose.Store(false)
		for _, want := range []int{200, 403} {
			if got := ask(portOf(o), "X", "x"); got != want {
				t.Errorf("status %d; wanted %d", got, want)
			}
		}
	})
}

// A tunnel that reaches nobody is no use either.
func TestMaxUsesTunnel(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {}))
	closed := listen(t)
	closed.Close()
	for _, c := range []struct {
		port int
		uses int64
	}{{portOf(closed), 0}, {portOf(o), 1}} {
		w.routes("routes: [{host: yes.test, ports: [%d], max_uses: 1, tls: passthrough}]", c.port)
		if r, err := w.client(false).Get(fmt.Sprintf("https://yes.test:%d/", c.port)); err == nil {
			r.Body.Close() // the agent does not trust the origin's own authority
		}
		eventually(t, fmt.Sprintf("uses are %d", c.uses), func() bool { return w.p.inFlight() == 0 && w.p.Uses()["yes.test"] == c.uses })
	}
}

// While one table follows another a route is used up under the first until that is
// served no more; then it says nothing.
func TestMaxUsesSwap(t *testing.T) {
	var u uses
	first, none := table(t, "routes: [{host: yes.test, max_uses: 1}]"), table(t, "routes: [{host: yes.test}]")
	r := &first.Routes[0]
	u.keep(first, func() {
		if n, known := u.take(r); n == nil || !known {
			t.Error("not used up, and refused")
		}
	})
	u.keep(none, func() {
		if n, known := u.take(r); n != nil || !known {
			t.Error("used up, and passed on the way to the next table")
		}
	})
	if n, known := u.take(r); n != nil || known {
		t.Error("a route that is served no more still counts")
	}
}

// However tables come and go, no more requests arrive than were granted.
func TestMaxUsesSwapping(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	var arrived atomic.Int64
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { arrived.Add(1) }))
	const rounds = 50
	stop := make(chan struct{})
	var all sync.WaitGroup
	defer all.Wait()
	defer close(stop)
	for range 4 {
		all.Go(func() {
			client := w.client(false)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if r, err := client.Get(fmt.Sprintf("https://yes.test:%d/", portOf(o))); err == nil {
					r.Body.Close()
				}
			}
		})
	}
	for i := range rounds {
		w.routes("routes: [{host: yes.test, ports: [%d], max_uses: 2}]", portOf(o))
		eventually(t, "both uses arrive", func() bool { return arrived.Load() >= int64(2*i+2) })
		w.routes("routes: [{host: no.test}]")
		if n := arrived.Load(); n != int64(2*i+2) {
			t.Fatalf("%d requests arrived in %d rounds of 2", n, i+1)
		}
	}
}
