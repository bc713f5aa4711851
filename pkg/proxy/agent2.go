package proxy

import (
	"errors"
	"os"
	"sync"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
)

// serve2 serves HTTP/2 on the connection until it ends.
func (a *agentConn) serve2() {
	l := a.p.Limits
	srv := h2.NewServer(a.Conn, h2.Config{
		MaxStreams: l.Streams, HeadBytes: l.Head.HeadBytes, Fields: l.Head.Fields,
		Idle: l.Idle, Stall: l.Stall, Extended: true, Refused: a.refused2,
	}, a.exchange2)
	a.h2.Store(srv)
	if a.p.drain.Load() {
		srv.Shutdown()
	}
	srv.Serve()
}

// refused2 logs a request whose head was not acceptable.
func (a *agentConn) refused2(why string) {
	x := a.newExchange()
	x.dest = *a.dest
	x.note("block", codeBadRequest, "not an acceptable HTTP/2 request: "+why)
	x.log()
	putScratch(x.scratch)
}

// exchange2 serves one HTTP/2 request.
func (a *agentConn) exchange2(s *h2.Stream) {
	x := a.newExchange()
	r := &reply2{x: x, s: s}
	head := s.Head()
	x.method, x.length, x.header, x.reply = head.Method, head.Length, head.Header, r
	x.cutting.agent = r
	s.OnGone(func(error) { x.cut(errAgentLeft) })
	if head.Protocol == "websocket" {
		// The handshake of RFC 8441 is HTTP/1.1's GET in another form: one policy
		// is for both.
		x.method, x.length, x.ws = "GET", 0, s
		x.header = x.header.Del("Content-Length") // of a tunnel it means nothing
	}
	// An expectation without content must not travel on: see http1.Request.
	if x.expect = x.length != 0 && x.header.Has("Expect"); !x.expect {
		x.header = x.header.Del("Expect")
	}
	if head.Length != 0 && x.ws == nil {
		x.body, x.trailer = &stalling2{r: r}, s.Trailer
	}
	dest, err := a.destination2(&head)
	x.dest = dest
	if err != nil {
		x.mismatch(err)
	} else {
		a.enter(x)
		x.handle()
		x.finish()
	}
	putScratch(x.scratch)
}

var (
	errScheme   = errors.New(":scheme is not https")
	errProtocol = errors.New("an extended CONNECT for another protocol than websocket is refused")
)

// destination2 is destination for HTTP/2, where every pseudo-header and field
// must also be what HTTP/1.1 would accept.
func (a *agentConn) destination2(h *h2.Head) (target, error) {
	dest := *a.dest
	method := h.Method
	switch {
	case method == "CONNECT" && h.Protocol == "":
		return dest, errNestedConnect
	case h.Protocol != "" && h.Protocol != "websocket":
		return dest, errProtocol
	case h.Scheme != "https":
		return dest, errScheme
	case a.sniErr != nil:
		return dest, a.sniErr
	}
	if err := dest.agrees(":authority", h.Authority); err != nil {
		return dest, err
	}
	for _, f := range h.Header {
		if sameField(f.Name, "Host") {
			if err := dest.agrees("Host", f.Value); err != nil {
				return dest, err
			}
		}
	}
	if err := http1.CheckWithAuthority(method, h.Path, h.Header); err != nil {
		return dest, err
	}
	return dest.withTarget(method, h.Path)
}

// reply2 is the answer on an HTTP/2 stream.
type reply2 struct {
	x *exchange
	s *h2.Stream

	mu    sync.Mutex
	begun bool // the answer
	ended bool // with its head
}

// Close cuts the stream. Any goroutine may call it.
func (r *reply2) Close() error {
	r.s.Reset(h2.Cancel)
	return nil
}

// stalling2 is stalling on an HTTP/2 stream.
type stalling2 struct {
	r    *reply2
	at   time.Time
	late bool // the deadline has passed
}

// Await waits until there is something to read.
func (s *stalling2) Await() {
	s.bound()
	s.r.s.Await()
	s.late = !s.r.s.Ready()
}

func (s *stalling2) Read(p []byte) (int, error) {
	if s.late {
		return 0, os.ErrDeadlineExceeded
	}
	s.bound()
	return s.r.s.Read(p)
}

func (s *stalling2) bound() {
	r, now := s.r, time.Now()
	if stall := r.x.p.Limits.Stall; now.Sub(s.at) > stall/16 {
		s.at = now
		r.mu.Lock()
		if !r.begun {
			r.s.SetReadDeadline(now.Add(stall))
		}
		r.mu.Unlock()
	}
}

// begin says that the answer begins: from here on the content may be slow.
func (r *reply2) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun {
		return false
	}
	r.begun = true
	if r.x.body != nil {
		r.s.SetReadDeadline(time.Time{})
	}
	return true
}

// noMore wakes who reads the content.
func (r *reply2) noMore() {
	r.begin()
	r.s.SetReadDeadline(past)
}

func (r *reply2) interim(status int, h http1.Header) error {
	if err := r.s.Interim(status, h); err != nil {
		return err
	}
	return r.s.Flush()
}

func (r *reply2) head(status int, _ string, h http1.Header, length int64) error {
	if !r.begin() {
		return errWroteFirst
	}
	r.x.access.Status = status
	if length > 0 {
		h = h.WithLength(length)
	}
	r.ended = length == 0
	return r.s.Respond(status, h, r.ended)
}

func (r *reply2) Write(p []byte) (int, error) { return r.s.Write(p) }

func (r *reply2) flush() error {
	if r.ended {
		return nil
	}
	return r.s.Flush()
}

func (r *reply2) end(trailer http1.Header) error {
	if r.ended {
		return nil
	}
	return r.s.End(trailer)
}

// abort sends what there is and then resets the stream.
func (r *reply2) abort() {
	r.s.SetWriteDeadline(time.Now().Add(time.Second))
	r.s.Flush()
	r.s.Reset(h2.InternalError)
}
