package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"bottle/pkg/h2"
	"bottle/pkg/http1"
	"bottle/pkg/route"
)

var (
	errTakenAway  = errors.New("the route was taken away")
	errDraining   = errors.New("the proxy is stopping")
	errAgentLeft  = errors.New("the agent left")
	errAgentBody  = errors.New("the request's content was cut short or malformed")
	errWroteFirst = errors.New("an answer has begun")
)

// exchange is one request and its answer.
type exchange struct {
	p     *Proxy
	a     *agentConn
	at    int // in a.live
	start time.Time

	// The request.
	dest    target
	method  string
	header  http1.Header
	length  int64               // of the content; 0 none, -1 not known
	small   []byte              // all of the content, when it is here already
	body    io.Reader           // the content otherwise; nil without any
	trailer func() http1.Header // of the content, once it was read
	expect  bool                // the agent waits for a 100 before it sends content

	// The answer.
	admitted atomic.Bool // the table allowed it
	route    *route.Route
	use      *atomic.Int64 // the count of a route with max_uses, which this is one of
	left     bool          // a part of the request may have reached the origin
	cred     *cred         // what was injected, to be kept out of the answer; or nil
	reply    reply
	close    bool        // the agent's connection ends with this exchange
	begun    atomic.Bool // the origin's answer has begun
	spoiled  atomic.Bool // the request's content was cut short or malformed
	answered atomic.Bool // the answer is complete, or there will be none
	upgraded bool        // both sides speak WebSocket
	ws       *h2.Stream  // of a WebSocket handshake in HTTP/2
	wsKey    string      // the key that was sent in its place
	fresh    *upConn     // a connection that was made for this exchange
	lost     int         // connections that ended before it was this exchange's turn

	watcher *watcher // nil where the agent's side tells by itself that it left (HTTP/2)

	cutting cutting

	sent, received atomic.Int64 // bytes of content to and from the origin
	access         Access

	*scratch // room that a later exchange uses again
}

// scratch is what an exchange builds heads in.
type scratch struct {
	out   http1.Header // the request's head as it leaves
	back  http1.Header // the answer's as it comes back
	resp  http1.Response
	rest  http1.Body // the answer's content
	masks masks
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

func putScratch(s *scratch) {
	s.clear()
	scratches.Put(s)
}

// clear keeps the room and nothing of what was in it.
func (s *scratch) clear() {
	room := func(h http1.Header) http1.Header {
		clear(h[:cap(h)])
		return h[:0]
	}
	clear(s.masks[:cap(s.masks)])
	*s = scratch{out: room(s.out), back: room(s.back), resp: http1.Response{Header: room(s.resp.Header)}, masks: s.masks[:0]}
}

// cutting is how an exchange is ended from outside, at any time and wherever it
// is.
type cutting struct {
	mu      sync.Mutex
	cause   error                   // why it was cut
	over    bool                    // it has ended by itself
	cancel  context.CancelCauseFunc // of what waits for a connection to the origin
	origin  io.Closer               // the connection to the origin
	agent   io.Closer               // the agent's side
	started bool                    // the agent has seen a part of the answer
}

// cut ends the exchange for a reason. Where the answer has not begun the agent
// is not cut off, so that it can be told.
func (x *exchange) cut(why error) {
	c := &x.cutting
	c.mu.Lock()
	if c.over || c.cause != nil {
		c.mu.Unlock()
		return
	}
	c.cause = why
	cancel, origin, agent := c.cancel, c.origin, c.agent
	if !c.started {
		agent = nil
	}
	c.mu.Unlock()
	// The agent first: it must not take the end of the origin's for a due one.
	if agent != nil {
		agent.Close()
	}
	if cancel != nil {
		cancel(why)
	}
	if origin != nil {
		origin.Close()
	}
}

// wasCut is why the exchange was cut, nil when it was not.
func (x *exchange) wasCut() error {
	x.cutting.mu.Lock()
	defer x.cutting.mu.Unlock()
	return x.cutting.cause
}

// context ends when the exchange is cut.
func (x *exchange) context() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	x.cutting.mu.Lock()
	defer x.cutting.mu.Unlock()
	x.cutting.cancel = cancel
	if x.cutting.cause != nil {
		cancel(x.cutting.cause)
	}
	return ctx, func() { cancel(nil) }
}

// hold makes c what a cut closes towards the origin. It is false after a cut.
func (x *exchange) hold(c io.Closer) bool {
	x.cutting.mu.Lock()
	defer x.cutting.mu.Unlock()
	x.cutting.origin = c
	return x.cutting.cause == nil
}

// letGo takes the connection to the origin back. It is false after a cut.
func (x *exchange) letGo() bool { return x.hold(nil) }

// startAnswer is called before the first byte of the origin's answer goes to
// the agent. It is false when the exchange was cut: there will be another answer.
func (x *exchange) startAnswer() bool {
	x.cutting.mu.Lock()
	defer x.cutting.mu.Unlock()
	x.cutting.started = true
	return x.cutting.cause == nil
}

// reply is the agent's side of an answer, in HTTP/1.1 or HTTP/2.
type reply interface {
	// interim sends an informational answer (1xx).
	interim(status int, h http1.Header) error
	// head begins the answer. length is that of its content: 0 none, -1 not known.
	head(status int, reason string, h http1.Header, length int64) error
	// Write takes content, which flush or end sends at the latest.
	io.Writer
	// flush sends what Write has gathered.
	flush() error
	// end closes the answer in due form, with a trailer section if there is one.
	end(trailer http1.Header) error
	// noMore wakes who reads the request's content: nobody wants it any more.
	noMore()
	// abort lets the agent see that the answer was cut.
	abort()
}

// ids numbers the exchanges of one proxy.
type ids struct {
	prefix string
	n      atomic.Uint64
}

func (i *ids) start() {
	var b [4]byte
	rand.Read(b[:])
	i.prefix = hex.EncodeToString(b[:]) + "-"
}

func (i *ids) next() string {
	var room [32]byte
	return string(strconv.AppendUint(append(room[:0], i.prefix...), i.n.Add(1), 10))
}

func (a *agentConn) newExchange() *exchange {
	x := &exchange{scratch: getScratch()}
	x.begin(a)
	return x
}

// begin makes x a new exchange of the connection.
func (x *exchange) begin(a *agentConn) {
	*x = exchange{p: a.p, a: a, start: time.Now(), scratch: x.scratch}
	x.access.AgentProto, x.access.ID = a.proto, a.p.ids.next()
}

// finish is the end of an exchange that enter began. It is false when it was
// cut.
func (x *exchange) finish() bool {
	x.a.leave(x)
	x.cutting.mu.Lock()
	defer x.cutting.mu.Unlock()
	x.cutting.over = true
	return x.cutting.cause == nil
}

// handle is the life of a request after its destination is known.
func (x *exchange) handle() {
	defer x.log()
	if x.dest.host == MagicHost {
		x.introspect()
		return
	}
	d := x.admit()
	if !d.Allow {
		x.block(d)
		return
	}
	x.route = d.Route
	if field := x.override(); field != "" {
		x.fault(403, codeOverride, fmt.Sprintf("the field %s asks the origin for another path or method than the request's, which the route for '%s' restricts", field, d.Route.Host))
		return
	}
	h, ok := x.inject(x.outgoing())
	if !ok {
		return
	}
	x.forward(h)
}

// admit asks the table. From a yes on SetTable may cut the exchange; a table
// that was swapped in before SetTable could know of the yes is asked as well.
// One that is refused is never cut, so that the refusal can be read. A route
// with max_uses is used once by each yes whose request is sent.
func (x *exchange) admit() route.Decision {
	for {
		t := x.p.table.Load()
		d := t.Match(x.query(time.Now()))
		x.admitted.Store(d.Allow)
		if d.Allow && x.p.table.Load() != t {
			continue
		}
		if !d.Allow || d.Route.MaxUses == 0 {
			return d
		}
		var known bool
		if x.use, known = x.p.uses.take(d.Route); !known {
			continue
		}
		if x.use == nil {
			x.admitted.Store(false)
			return d.Route.UsedUp()
		}
		return d
	}
}

// outgoing is the head as it leaves: without what concerns only the agent's own
// connection, and with the destination as its only Host.
func (x *exchange) outgoing() http1.Header {
	h := append(x.out[:0], http1.Field{Name: "Host", Value: x.dest.authority()})
	h = x.header.AppendEndToEnd(h)
	kept := h[:1]
	for _, f := range h[1:] {
		if !sameField(f.Name, "Host") {
			kept = append(kept, f)
		}
	}
	x.out = kept
	return kept
}

// query is what the table is asked. In a tunnel no path and no method is seen.
func (x *exchange) query(now time.Time) route.Query {
	if x.method == "CONNECT" {
		return route.Query{Scheme: "https", Host: x.dest.host, Port: x.dest.port, Method: "GET", Path: "/", Now: now}
	}
	return route.Query{Scheme: x.dest.scheme, Host: x.dest.host, Port: x.dest.port, Method: x.method, Path: x.dest.path, Now: now}
}

// stillAllowed decides anew about an exchange in flight.
func (x *exchange) stillAllowed(t *route.Table, now time.Time) bool {
	if !x.admitted.Load() {
		return true
	}
	d := t.Match(x.query(now))
	return d.Allow && (x.method != "CONNECT" || d.Route.TLS == route.Passthrough)
}

// expires tells whether some route of t has an end.
func expires(t *route.Table) bool {
	for i := range t.Routes {
		if !t.Routes[i].Expires.IsZero() {
			return true
		}
	}
	return false
}
