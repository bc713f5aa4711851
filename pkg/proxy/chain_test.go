package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// README: A tunnel of the second proxy may end after any answer, unannounced
// or not: every request arrives, once. Requests that cannot be repeated, of
// several agents at once, in both protocols.
func TestSecondProxyTunnelsDie(t *testing.T) {
	for _, test := range []struct {
		name        string
		dies, http2 bool
	}{{"lives", false, false}, {"dies", true, false}, {"lives, h2", false, true}, {"dies, h2", true, true}} {
		t.Run(test.name, func(t *testing.T) { secondProxyPosts(t, test.dies, test.http2) })
	}
}

func secondProxyPosts(t *testing.T, dies, http2 bool) {
	const posts, agents = 400, 4
	origin := newWorld(t, "routes: []", nil) // of which only the origins serve
	second := &chained{}
	at := origin.raw("", second.serve)
	w := newWorld(t, "routes: []", func(c *Config) {
		c.Upstream = &url.URL{Scheme: "http", Host: at.Addr().String()}
		c.Roots, c.AllowPrivate = origin.p.Roots, nil
	})
	var mu sync.Mutex
	got := map[string]int{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		got[string(b)]++
		mu.Unlock()
		rw.Write(b)
	}))
	s.TLS = serverTLS(t, origin.origins.Leaf, "yes.test")
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if dies && state == http.StateIdle { // the answer went out, with no word of closing
			c.Close()
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	port := portOf(s.Listener)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", port)
	var wg sync.WaitGroup
	for a := range agents {
		wg.Go(func() {
			client := w.client(http2)
			for i := a; i < posts; i += agents {
				body := fmt.Sprint("post ", i)
				r, err := client.Post(fmt.Sprintf("https://yes.test:%d/", port), "text/plain", io.MultiReader(strings.NewReader(body)))
				if err != nil {
					t.Errorf("%d: %v", i, err)
					return
				}
				b, err := io.ReadAll(r.Body)
				r.Body.Close()
				if err != nil || r.StatusCode != 200 || string(b) != body {
					t.Errorf("%d: %d %q %v", i, r.StatusCode, b, err)
				}
			}
		})
	}
	wg.Wait()
	for body, n := range got {
		if n != 1 {
			t.Errorf("%q arrived %d times", body, n)
		}
	}
	if len(got) != posts {
		t.Errorf("%d requests arrived; wanted %d", len(got), posts)
	}
}
