package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
)

// In HTTP/2 too all that names the destination must agree.
func TestOneIdentity2(t *testing.T) {
	w, o, base := one(t, hello)
	for _, c := range []struct {
		method, host string
		field        http.Header
	}{
		{"GET", "other.test", nil}, {"GET", "yes.test", nil}, {"GET", MagicHost, nil},
		{"TRACE", "", nil},
	} {
		req, _ := http.NewRequest(c.method, base+"/", nil)
		req.Host, req.Header = c.host, c.field
		r, err := w.client(true).Do(req)
		text(t, r, err)
		if r.StatusCode != 403 || r.ProtoMajor != 2 {
			t.Errorf("%v: %d %s", c, r.StatusCode, r.Proto)
		}
	}
	if o.n.Load() != 0 || w.lookups.Load() != 0 {
		t.Errorf("%d connections, %d lookups; wanted none", o.n.Load(), w.lookups.Load())
	}
}

// A refused request with a little content leaves the connection usable.
func TestRefusedContent(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	c := w.tunnel("no.test:443")
	for range 3 {
		c.send("POST / HTTP/1.1\r\nHost: no.test\r\nContent-Length: 3\r\n\r\nabc").wantStatus("POST", 403)
	}
	c.send("POST / HTTP/1.1\r\nHost: no.test\r\nTransfer-Encoding: chunked\r\n\r\n").wantStatus("POST", 403)
	c.wantEnd()
}

// An answer that comes before the content was read reaches the agent.
func TestEarlyAnswer(t *testing.T) {
	both(t, func(t *testing.T, h2 bool) {
		w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(413)
			fmt.Fprint(rw, "too much")
		})
		for range 5 {
			r, err := w.client(h2).Post(base, "x/y", bytes.NewReader(make([]byte, 16<<20)))
			if b := text(t, r, err); r.StatusCode != 413 || b != "too much" {
				t.Errorf("%d %q", r.StatusCode, b)
			}
		}
	})
}
