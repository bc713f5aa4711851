package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

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
	ctx   context.Context
	cut   context.CancelCauseFunc // ends it wherever it is
	start time.Time

	// The request.
	dest    target
	method  string
	header  http1.Header
	length  int64               // of the content; 0 none, -1 not known
	body    io.Reader           // nil without content
	trailer func() http1.Header // of the content, once it was read
	expect  bool                // the agent waits for a 100 before it sends content

	// The answer.
	admitted atomic.Bool // the table allowed it
	route    *route.Route
	token    []byte // what was injected, to be kept out of the answer
	reply    reply
	close    bool        // the agent's connection ends with this exchange
	begun    atomic.Bool // the origin's answer has begun
	spoiled  atomic.Bool // the request's content was cut short or malformed
	answered atomic.Bool // the answer is complete, or there will be none
	finished bool        // nothing was cut
	upgraded bool        // both sides speak WebSocket

	// watch waits for the agent to leave after its request was read; unwatch
	// ends that. Both are nil where the context says it (HTTP/2).
	watch, unwatch func()

	sent, received atomic.Int64 // bytes of content to and from the origin
	access         Access
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

func (i *ids) next() string { return i.prefix + strconv.FormatUint(i.n.Add(1), 10) }

func (p *Proxy) newExchange(proto string) *exchange {
	x := &exchange{p: p, start: time.Now()}
	x.ctx, x.cut = context.WithCancelCause(context.Background())
	x.access.AgentProto, x.access.ID = proto, p.ids.next()
	return x
}

// handle is the life of a request after its destination is known. keep is
// called at the end, before the exchange's context ends: it spares the agent's
// connection when nothing was cut.
func (x *exchange) handle(keep func() bool) {
	x.p.enter(x)
	defer x.p.leave(x, keep)
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
// One that is refused is never cut, so that the refusal can be read.
func (x *exchange) admit() route.Decision {
	for {
		t := x.p.table.Load()
		d := t.Match(x.query(time.Now()))
		x.admitted.Store(d.Allow)
		if !d.Allow || x.p.table.Load() == t {
			return d
		}
	}
}

// outgoing is the head as it leaves: without what concerns only the agent's own
// connection, and with the destination as its only Host.
func (x *exchange) outgoing() http1.Header {
	h := make(http1.Header, 0, len(x.header)+4)
	h = h.Add("Host", x.dest.authority())
	for _, f := range x.header.StripHopByHop() {
		if lower(f.Name) != "host" {
			h = append(h, f)
		}
	}
	return h
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

func (p *Proxy) enter(x *exchange) {
	p.mu.Lock()
	p.live[x] = struct{}{}
	p.mu.Unlock()
}

func (p *Proxy) leave(x *exchange, keep func() bool) {
	p.mu.Lock()
	delete(p.live, x)
	p.mu.Unlock()
	x.finished = keep()
	x.cut(nil)
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
