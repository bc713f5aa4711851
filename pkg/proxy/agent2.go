package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/textproto"
	"sync"
	"time"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// newServer2 is the HTTP/2 side towards the agent. The frames, flow control and
// the bounds against floods are x/net/http2's; what is decided about a request
// is the same as in HTTP/1.1.
func (p *Proxy) newServer2() *http2.Server {
	p.drain.http = &http.Server{
		MaxHeaderBytes: p.Limits.Head.HeadBytes,
		ErrorLog:       slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
	}
	s := &http2.Server{
		MaxConcurrentStreams: p.Limits.Streams,
		IdleTimeout:          p.Limits.Idle,
		ReadIdleTimeout:      0,
	}
	http2.ConfigureServer(p.drain.http, s) // so that Shutdown sends GOAWAY
	return s
}

// serve2 serves HTTP/2 on the connection until it ends.
func (a *agentConn) serve2(c *tls.Conn) {
	a.p.h2.ServeConn(c, &http2.ServeConnOpts{
		BaseConfig: a.p.drain.http,
		Handler:    http.HandlerFunc(a.exchange2),
	})
}

// exchange2 serves one HTTP/2 request.
func (a *agentConn) exchange2(w http.ResponseWriter, req *http.Request) {
	x := a.newExchange()
	r := &reply2{x: x, w: w, rc: http.NewResponseController(w)}
	x.method, x.length, x.reply = req.Method, req.ContentLength, r
	x.header = fields(req.Header)
	x.expect = x.header.HasMember("Expect", "100-continue")
	if req.ContentLength != 0 {
		x.body = stalling2{r, req.Body}
		x.trailer = func() http1.Header { return fields(req.Trailer) }
	}
	stopCtx := context.AfterFunc(req.Context(), func() { x.cut(errAgentLeft) })
	defer stopCtx()
	defer r.over()
	x.cutting.agent = waker{r}
	dest, err := a.destination2(req)
	x.dest = dest
	if err != nil {
		x.mismatch(err)
	} else {
		a.enter(x)
		x.handle()
		x.finish()
	}
	if !r.ended {
		panic(http.ErrAbortHandler) // resets the stream; the server recovers it
	}
}

// destination2 is destination for HTTP/2, where every pseudo-header and field
// must also be what HTTP/1.1 would accept.
func (a *agentConn) destination2(req *http.Request) (target, error) {
	dest := *a.dest
	switch {
	case req.Method == "CONNECT":
		return dest, errNestedConnect
	case req.TLS == nil:
		return dest, errors.New(":scheme is not https")
	}
	if a.sniErr != nil {
		return dest, a.sniErr
	}
	if err := dest.agrees(":authority", req.Host); err != nil {
		return dest, err
	}
	for _, v := range req.Header["Host"] {
		if err := dest.agrees("Host", v); err != nil {
			return dest, err
		}
	}
	if err := http1.Check(req.Method, req.RequestURI, fields(req.Header).Set("Host", req.Host)); err != nil {
		return dest, err
	}
	// The server compares Content-Length with the data, but not where the head
	// is all there is. Passed on, an origin would wait for content and take the
	// next request on its connection for it.
	if v := req.Header.Get("Content-Length"); req.ContentLength == 0 && v != "" && v != "0" {
		return dest, errNoContent
	}
	return dest.withTarget(req.Method, req.RequestURI)
}

var errNoContent = errors.New("Content-Length announces content and the stream has none")

// fields are h as a list.
func fields(h http.Header) http1.Header {
	out := make(http1.Header, 0, len(h)+4)
	for name, values := range h {
		for _, v := range values {
			out = append(out, http1.Field{Name: name, Value: v})
		}
	}
	return out
}

// reply2 is the answer on an HTTP/2 stream.
type reply2 struct {
	x     *exchange
	w     http.ResponseWriter
	rc    *http.ResponseController
	ended bool

	mu    sync.Mutex
	begun bool // the answer
	gone  bool // the server has w back
}

// stalling2 is stalling on an HTTP/2 stream.
type stalling2 struct {
	r    *reply2
	body io.Reader
}

func (s stalling2) Read(p []byte) (int, error) {
	s.r.mu.Lock()
	if !s.r.gone && !s.r.begun {
		s.r.rc.SetReadDeadline(time.Now().Add(s.r.x.p.Limits.Stall))
	}
	s.r.mu.Unlock()
	return s.body.Read(p)
}

// begin says that the answer begins: from here on the content may be slow.
func (r *reply2) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun {
		return false
	}
	r.begun = true
	r.rc.SetReadDeadline(time.Time{})
	return true
}

// wake ends a write that waits for an agent which does not read. It may come
// late, when the server has w back: touching it then ends the process.
func (r *reply2) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gone {
		r.rc.SetWriteDeadline(past)
	}
}

// noMore wakes who reads the content.
func (r *reply2) noMore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.gone {
		r.rc.SetReadDeadline(past)
	}
}

// waker is a reply2 as what a cut closes.
type waker struct{ r *reply2 }

func (w waker) Close() error {
	w.r.wake()
	return nil
}

// over says that the server gets w back.
func (r *reply2) over() {
	r.mu.Lock()
	r.gone = true
	r.mu.Unlock()
}

func (r *reply2) interim(status int, h http1.Header) error {
	if status == 100 {
		return nil // the server sends it itself when the content is first read
	}
	r.set(h)
	r.w.WriteHeader(status)
	for _, f := range h {
		r.w.Header().Del(f.Name)
	}
	return nil
}

func (r *reply2) head(status int, _ string, h http1.Header, length int64) error {
	if !r.begin() {
		return errWroteFirst
	}
	r.x.access.Status = status
	// Present without a value: keeps net/http from inventing them.
	r.w.Header()["Date"], r.w.Header()["Content-Type"] = nil, nil
	r.set(h)
	r.w.WriteHeader(status)
	return nil
}

func (r *reply2) set(h http1.Header) {
	for _, f := range h {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		r.w.Header()[name] = append(r.w.Header()[name], f.Value)
	}
}

func (r *reply2) Write(p []byte) (int, error) { return r.w.Write(p) }

func (r *reply2) flush() error { return r.rc.Flush() }

func (r *reply2) end(trailer http1.Header) error {
	for _, f := range trailer {
		r.w.Header().Add(http2.TrailerPrefix+f.Name, f.Value)
	}
	r.ended = true
	return nil
}

func (r *reply2) abort() { r.ended = false }
