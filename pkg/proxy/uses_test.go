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
