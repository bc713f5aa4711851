package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Content-Length on a stream that ends with its head would make the origin
// take the next request on the connection, credential and all, for content.
func TestContentLengthWithoutData(t *testing.T) {
	w, o, _ := one(t, hello)
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	for length, want := range map[string]string{"": "200", "0": "200", "5": "PROTOCOL_ERROR", "00": "PROTOCOL_ERROR", "+0": "PROTOCOL_ERROR"} {
		if got := w.bareHead(to, length); got != want {
			t.Errorf("Content-Length %q: %s; wanted %s", length, got, want)
		}
	}
	// Each is in the log, with what was wrong.
	for _, l := range w.wantLines(5) {
		if l.Verdict == "block" && (l.Code != codeBadRequest || !strings.HasPrefix(l.Reason, "not an acceptable HTTP/2 request: ")) {
			t.Errorf("%+v", l)
		}
	}
}

// bareHead is the status of a POST in HTTP/2 that is a head and nothing else.
func (w *world) bareHead(to, length string) (status string) {
	_, f := w.framer(to)
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(to, "content-length", length), EndHeaders: true, EndStream: true})
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

// framer speaks HTTP/2 to the proxy by hand.
func (w *world) framer(to string) (net.Conn, *http2.Framer) {
	c := tls.Client(w.dial().connect(to).Conn, &tls.Config{ServerName: "yes.test", RootCAs: w.trust, NextProtos: []string{"h2"}})
	c.Write([]byte(http2.ClientPreface))
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	return c, f
}

// head is a POST with a further field, unless that is empty.
func head(to string, more ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	fields := append([]string{":method", http.MethodPost, ":scheme", "https", ":authority", to, ":path", "/"}, more...)
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] != "" {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
	}
	return b.Bytes()
}

// An agent that leaves with many streams open: ending them must not touch what
// the HTTP/2 server has taken back, which would end the process.
func TestAgentLeavesManyStreams(t *testing.T) {
	w, o, _ := one(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	for range 20 {
		c, f := w.framer(to)
		for id := uint32(1); id < 400; id += 2 {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head(to), EndHeaders: true})
		}
		eventually(t, "streams", func() bool { return w.p.inFlight() > 100 })
		c.Close()
		eventually(t, "no streams", func() bool { return w.p.inFlight() == 0 })
	}
}
