package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// lastingOrigin is a world whose origin reads the request's content, begins to answer
// only /begun, says here, and waits for its client to leave, which is gone.
func lastingOrigin(t *testing.T) (w *world, to string, here, gone chan bool) {
	here, gone = make(chan bool, 9), make(chan bool, 9)
	w, _, base := one(t, func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/begun" {
			rw.(http.Flusher).Flush()
		}
		here <- true
		<-r.Context().Done()
		gone <- true
	})
	return w, strings.TrimPrefix(base, "https://"), here, gone
}

// within waits for c, which tells what.
func within(t *testing.T, c chan bool, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Error("never: " + what)
	}
}

// An agent that leaves after a small content, which came with the head, is
// noticed, before and within the answer.
func TestSmallBodyLeaves(t *testing.T) {
	for _, path := range []string{"/silent", "/begun"} {
		t.Run(path, func(t *testing.T) {
			w, to, here, gone := lastingOrigin(t)
			c := w.tunnel(to).send("POST " + path + " HTTP/1.1\r\nHost: " + to + "\r\nContent-Length: 5\r\n\r\nhello")
			within(t, here, "the request")
			c.Close()
			within(t, gone, "the end of the origin's side")
		})
	}
}

// An agent that leaves is noticed behind the bytes of a request that it sent
// ahead.
func TestPipelinedLeaves(t *testing.T) {
	w, to, here, gone := lastingOrigin(t)
	c := w.tunnel(to).send(strings.Repeat("GET / HTTP/1.1\r\nHost: "+to+"\r\n\r\n", 2))
	within(t, here, "the request")
	c.Close()
	within(t, gone, "the end of the origin's side")
}
