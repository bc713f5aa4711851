package proxy

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// An agent that stops in the middle of its content is told so with a 400, after
// one Stall and not after two.
func TestStalledContent(t *testing.T) {
	const stall = 1500 * time.Millisecond
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Stall = stall })
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	post := "POST / HTTP/1.1\r\nHost: " + to + "\r\n"
	answers := make(chan string, 3)
	length, chunked := w.tunnel(to), w.tunnel(to)
	_, f := w.framer(to)
	start := time.Now()
	length.send(post + "Content-Length: 9\r\n\r\nabc")
	chunked.send(post + "Transfer-Encoding: chunked\r\n\r\n9\r\nabc")
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(to), EndHeaders: true})
	f.WriteData(1, false, []byte("abc"))
	go func() { answers <- status2(f) }()
	for _, c := range []*wire{length, chunked} {
		go func() { answers <- c.statusLine() }()
	}
	for range cap(answers) {
		status := <-answers
		if d := time.Since(start); status != "400" || d < stall*3/4 || d > stall*7/4 {
			t.Errorf("%q after %v; wanted 400 after %v", status, d, stall)
		}
	}
}

// statusLine is the status of the next answer, or the error.
func (c *wire) statusLine() string {
	var proto, status string
	if _, err := fmt.Fscan(c.br, &proto, &status); err != nil {
		return err.Error()
	}
	return status
}

// status2 is the status of the next answer in HTTP/2, or the error.
func status2(f *http2.Framer) string {
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch fr := fr.(type) {
		case *http2.MetaHeadersFrame:
			return fr.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return fr.ErrCode.String()
		}
	}
}
