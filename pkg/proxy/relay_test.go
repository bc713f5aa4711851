package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"

	"bottle/pkg/http1"
)

// What came before the line of a chunk's size is not held back until that line
// is whole.
func TestTornChunkSize(t *testing.T) {
	next := make(chan string, 1)
	w := newWorld(t, "routes: []", nil)
	ln := w.raw("", func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			if _, err := http1.ReadRequest(br, http1.Limits{}); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+<-next)
			io.WriteString(c, <-next)
		}
	})
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	for _, torn := range []struct{ first, seen, rest, unseen string }{
		{"5", "", "\r\nevent\r\n0\r\n\r\n", "event"},
		{"5\r", "", "\nevent\r\n0\r\n\r\n", "event"},
		{"5;ext", "", "=1\r\nevent\r\n0\r\n\r\n", "event"},
		{"5\r\n", "", "event\r\n0\r\n\r\n", "event"},
		{"5\r\nevent\r\n5", "event", "\r\nother\r\n0\r\n\r\n", "other"},
		{"5\r\nevent\r\n5;ext", "event", "\r\nother\r\n0\r\n\r\n", "other"},
		{"5\r\nevent\r\n0\r", "event", "\n\r\n", ""},
	} {
		next <- torn.first
		c := w.dial().send("GET http://" + to + "/ HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
		r, err := http1.ReadResponse(c.br, "GET", http1.Limits{})
		if err != nil {
			t.Fatalf("%q: the head is held back: %v", torn.first, err)
		}
		body, seen := http1.NewBody(c.br, r.ContentLength), make([]byte, len(torn.seen))
		if _, err := io.ReadFull(body, seen); err != nil || string(seen) != torn.seen {
			t.Fatalf("%q: %q %v", torn.first, seen, err)
		}
		next <- torn.rest
		if rest, err := io.ReadAll(body); err != nil || string(rest) != torn.unseen {
			t.Errorf("%q: %q %v", torn.first, rest, err)
		}
	}
}
