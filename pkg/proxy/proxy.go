package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/http1"
	"bottle/pkg/reload"
	"bottle/pkg/route"
)

// MagicHost answers for the proxy itself: it is never resolved, dialled or
// matched against the table.
const MagicHost = "_egress-proxy.local"

// Limits bound what one bottle's proxy spends. The zero value of each field is
// its default.
type Limits struct {
	Conns     int           // connections of the agent at once: 16384
	Origins   int           // connections to origins at once: 16384
	Sockets   int           // of both together: no further bound
	Head      http1.Limits  // of a request's and an answer's head
	Handshake time.Duration // for CONNECT to be followed by a whole TLS handshake: 20 s
	HeadTime  time.Duration // from a request's first byte to the end of its head: 30 s
	Stall     time.Duration // between two reads of a request's content before the answer begins: 90 s
	Idle      time.Duration // between two requests of a connection: 10 min
	Dial      time.Duration // for resolving, connecting and the TLS handshake upstream: 15 s
	Answer    time.Duration // from the whole request to the head of the answer: 10 min
	Streams   uint32        // HTTP/2 streams of one connection at once: 250
}

func (l Limits) orDefault() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&l.Handshake, 20*time.Second)
	def(&l.HeadTime, 30*time.Second)
	def(&l.Stall, 90*time.Second)
	def(&l.Idle, 10*time.Minute)
	def(&l.Dial, 15*time.Second)
	def(&l.Answer, 10*time.Minute)
	if l.Conns == 0 {
		l.Conns = 16384
	}
	if l.Origins == 0 {
		l.Origins = 16384
	}
	if l.Sockets == 0 {
		l.Sockets = l.Conns + l.Origins
	}
	if l.Head.HeadBytes == 0 {
		l.Head.HeadBytes = 64 << 10
	}
	if l.Streams == 0 {
		l.Streams = 250
	}
	return l
}

// Config is what a proxy is given.
type Config struct {
	Bottle       string                       // its name, for the log and the upstream proxy
	Authority    *ca.Authority                // signs the leaves shown to the agent
	Table        *route.Table                 // the first table; see Proxy.SetTable
	Token        func(string) ([]byte, error) // the credential in a slot; see Tokens
	Roots        func() *x509.CertPool        // upstream trust, for each handshake; nil is the system's
	Upstream     *url.URL                     // a second proxy, http://HOST:PORT; nil dials directly
	AllowPrivate []netip.Prefix               // internal addresses that may be dialled all the same
	Self         []netip.AddrPort             // where the proxy itself listens; never dialled
	AccessLog    func(*Access)                // called once per exchange, by many goroutines, and keeps nothing of it; nil logs nothing
	Log          *slog.Logger                 // diagnostics
	Status       func() reload.Status         // the answer to the last reload, for introspection
	Used         func(map[string]int64)       // called with Uses within a second after they changed; may be nil
	Limits       Limits
}

// Proxy serves the agent of one bottle.
type Proxy struct {
	Config
	table    atomic.Pointer[route.Table]
	uses     uses
	tls      *tls.Config // of the side towards the agent
	pool     pool
	sessions sessions
	creds    creds
	dial     dialer
	count    counters
	ids      ids
	sockets  chan struct{} // one for each connection of either side
	pause    pause

	mu      sync.Mutex
	conns   map[*agentConn]struct{}
	drain   atomic.Bool  // no more requests after those in flight
	watched atomic.Int64 // watchers to tick
}

// counters are what /metrics shows.
type counters struct {
	allowed, blocked, failed, conns, sent, received, reloads atomic.Int64
}

// New makes a proxy of c. Authority, Table and Token are required.
func New(c Config) *Proxy {
	c.Limits = c.Limits.orDefault()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.AccessLog == nil {
		c.AccessLog = func(*Access) {}
	}
	p := &Proxy{Config: c, conns: map[*agentConn]struct{}{}}
	p.uses.keep(c.Table, func() { p.table.Store(c.Table) })
	p.tls = p.agentTLS()
	p.sockets = make(chan struct{}, p.Limits.Sockets)
	p.dial = newDialer(p)
	p.pool.most = min(idleInAll, p.Limits.Origins/2, p.Limits.Sockets/32)
	p.sessions.most = min(idleInAll, p.Limits.Origins/4, p.Limits.Sockets/32)
	p.ids.start()
	return p
}

// Table is the table that is served.
func (p *Proxy) Table() *route.Table { return p.table.Load() }

// SetTable serves t from now on: every request that is decided later sees t and
// only t. Exchanges in flight go on where t still allows them and are cut where
// it does not, as are those of a route that ends while they run.
func (p *Proxy) SetTable(t *route.Table) {
	p.uses.keep(t, func() { p.table.Store(t) })
	p.creds.m.Clear()
	p.count.reloads.Add(1)
	p.cutRefused(t)
}

// cutRefused ends the exchanges that t no longer allows.
func (p *Proxy) cutRefused(t *route.Table) {
	now := time.Now()
	for _, a := range p.all() {
		a.each(func(x *exchange) {
			if !x.stillAllowed(t, now) {
				x.cut(errTakenAway)
			}
		})
	}
}

// all are the agent's connections of this moment.
func (p *Proxy) all() []*agentConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.conns))
}

// inFlight is the number of exchanges that may be cut.
func (p *Proxy) inFlight() (n int) {
	for _, a := range p.all() {
		a.each(func(*exchange) { n++ })
	}
	return n
}

func (p *Proxy) forget(a *agentConn) {
	p.count.conns.Add(-1)
	p.mu.Lock()
	delete(p.conns, a)
	p.mu.Unlock()
}
