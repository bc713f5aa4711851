package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bottle/pkg/http1"
)

// fault is a failure upstream with what the agent is told of it.
type fault struct {
	status int
	code   string
	msg    string
}

func (f *fault) Error() string { return f.msg }

// dialer makes connections to origins.
type dialer struct {
	p     *Proxy
	net   net.Dialer
	tls   *tls.Config
	slots chan struct{} // one for each connection to an origin
}

// slotted is a connection that gives its slot back when it is closed.
type slotted struct {
	*net.TCPConn
	free func()
}

func (c slotted) Close() error {
	c.free()
	return c.TCPConn.Close()
}

// tcp connects to addr once there is a slot for it: descriptors that the agent
// could use up would be missing for a reload.
func (d *dialer) tcp(ctx context.Context, addr string) (net.Conn, error) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case d.p.sockets <- struct{}{}:
	case <-ctx.Done():
		<-d.slots
		return nil, ctx.Err()
	}
	free := sync.OnceFunc(func() { <-d.slots; <-d.p.sockets })
	c, err := d.net.DialContext(ctx, "tcp", addr)
	if err != nil {
		free()
		return nil, err
	}
	return slotted{c.(*net.TCPConn), free}, nil
}

func newDialer(p *Proxy) dialer {
	d := dialer{p: p, slots: make(chan struct{}, p.Limits.Origins), tls: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(256),
		VerifyConnection:   notOurs(p.Authority.CertPEM()),
		// Full records from the start: what is written is whole messages.
		DynamicRecordSizingDisabled: true,
	}}
	// Go's own resolver: libc's does not find names of /etc/hosts that end in a
	// dot, as reach spells them.
	d.net.Resolver = &net.Resolver{PreferGo: true}
	if p.Upstream == nil {
		d.net.ControlContext = d.allowed
	}
	return d
}

// notOurs refuses an origin whose certificate the bottle's own authority
// signed: an operator may have put it into the system's store.
func notOurs(authority []byte) func(tls.ConnectionState) error {
	block, _ := pem.Decode(authority)
	return func(s tls.ConnectionState) error {
		for _, chain := range s.VerifiedChains {
			if bytes.Equal(chain[len(chain)-1].Raw, block.Bytes) {
				return errors.New("it was signed by the bottle's own authority, which vouches for no origin")
			}
		}
		return nil
	}
}

// dial connects to dest, and for https ends with TLS verified for dest.host. With
// h2 the origin may choose HTTP/2, which the connection's proto then says.
// Every error is a *fault, the end of ctx or errOnly2.
func (d *dialer) dial(ctx context.Context, dest target, key string, h2 bool) (*upConn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.p.Limits.Dial)
	defer cancel()
	raw, err := d.reach(ctx, dest)
	if err != nil {
		return nil, d.explain(ctx, dest, err)
	}
	sock := newSocket(raw)
	u := &upConn{Conn: sock, sock: sock, key: key, proto: "http/1.1"}
	if dest.scheme == "https" {
		cfg := d.tls.Clone()
		cfg.ServerName = dest.host
		if d.p.Roots != nil {
			cfg.RootCAs = d.p.Roots()
		}
		if h2 {
			cfg.NextProtos = []string{"h2", "http/1.1"}
		}
		t := tls.Client(sock, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			raw.Close()
			if !h2 && strings.Contains(err.Error(), noCommonProtocol) {
				return nil, errOnly2
			}
			return nil, d.explain(ctx, dest, err)
		}
		u.Conn = t
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			u.proto = "h2"
		}
	}
	// Tunnels of the second proxy may die after any answer: they are not kept.
	u.last = d.p.Upstream != nil
	return u, nil
}

// noCommonProtocol is how crypto/tls spells the alert no_application_protocol
// (RFC 7301 §3.2), for which it has no name.
const noCommonProtocol = "tls: no application protocol"

// reach makes the TCP connection or the tunnel.
func (d *dialer) reach(ctx context.Context, dest target) (net.Conn, error) {
	if d.p.Upstream != nil {
		return d.chain(ctx, dest)
	}
	addr := dest.addr()
	if _, err := netip.ParseAddr(dest.host); err != nil && strings.Contains(dest.host, ".") {
		// The trailing dot keeps the resolver from trying its search list: the
		// name that was matched is the name that is resolved. A name of one
		// label, as containers have, is not found in /etc/hosts that way.
		addr = strings.Replace(addr, ":", ".:", 1)
	}
	return d.tcp(ctx, addr)
}

// allowed looks at the address that is really dialled, after resolution and
// just before connect(2): no second lookup can change it.
func (d *dialer) allowed(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := ap.Addr().Unmap().WithZone("")
	for _, self := range d.p.Self {
		if ap.Port() == self.Port() && (a == self.Addr().Unmap() || self.Addr().IsUnspecified() && internal(a)) {
			return &fault{403, codeInternal, fmt.Sprintf("the address %s is the proxy itself", address)}
		}
	}
	if !internal(a) {
		return nil
	}
	for _, p := range d.p.AllowPrivate {
		if p.Contains(a) {
			return nil
		}
	}
	return &fault{403, codeInternal, fmt.Sprintf("the name resolves to the internal address %s, which is not dialled", a)}
}

// chain asks the second proxy for a tunnel. The CONNECT carries nothing of the
// agent's; the name is resolved there and not here.
func (d *dialer) chain(ctx context.Context, dest target) (net.Conn, error) {
	c, err := d.tcp(ctx, d.p.Upstream.Host)
	if err != nil {
		return nil, d.unreached()
	}
	if deadline, ok := ctx.Deadline(); ok {
		c.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(past) })
	err = d.askTunnel(c, dest)
	if !stop() || err != nil {
		c.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

// plain connects to the second proxy for one request that names its whole URL
// (RFC 9112 §3.2.2). In a tunnel a pipelock that ends TLS would wait for TLS.
func (d *dialer) plain(ctx context.Context, dest target, key string) (*upConn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.p.Limits.Dial)
	defer cancel()
	c, err := d.tcp(ctx, d.p.Upstream.Host)
	if err != nil {
		return nil, d.explain(ctx, dest, d.unreached())
	}
	sock := newSocket(c)
	return &upConn{Conn: sock, sock: sock, key: key, proto: "http/1.1", last: true, plain: true}, nil
}

func (d *dialer) unreached() error {
	return &fault{502, codeUpstream, "the second proxy " + d.p.Upstream.Host + " cannot be reached"}
}

// agentHeader tells pipelock whose request it is; it keeps it for itself.
const agentHeader = "X-Pipelock-Agent"

// outward is the request's target and header as they go to up.
func (x *exchange) outward(up *upConn, h http1.Header) (string, http1.Header) {
	if !up.plain {
		return x.dest.raw, h
	}
	h = slices.DeleteFunc(slices.Clone(h), func(f http1.Field) bool { return strings.EqualFold(f.Name, agentHeader) })
	if x.p.Bottle != "" {
		h = h.Add(agentHeader, x.p.Bottle)
	}
	url := "http://" + x.dest.authority()
	if x.dest.raw != "*" { // of OPTIONS: RFC 9112 §3.2.4
		url += x.dest.raw
	}
	return url, h
}

func (d *dialer) askTunnel(c net.Conn, dest target) error {
	h := http1.Header{{Name: "Host", Value: dest.addr()}}
	if d.p.Bottle != "" {
		h = h.Add(agentHeader, d.p.Bottle)
	}
	if _, err := c.Write(http1.AppendRequest(nil, "CONNECT", dest.addr(), h)); err != nil {
		return err
	}
	br := bufio.NewReader(c)
	resp, err := http1.ReadResponse(br, "CONNECT", d.p.Limits.Head)
	if err != nil {
		return &fault{502, codeUpstream, "the second proxy gave no acceptable answer to CONNECT"}
	}
	if resp.Status/100 != 2 {
		return &fault{502, codeChain, fmt.Sprintf("the second proxy answered %d: %s", resp.Status, firstLine(c, br, resp))}
	}
	if br.Buffered() > 0 {
		return &fault{502, codeUpstream, "the second proxy sent bytes before the tunnel was used"}
	}
	return nil
}

// firstLine is the beginning of a refusal's text.
func firstLine(c net.Conn, br *bufio.Reader, resp *http1.Response) string {
	c.SetReadDeadline(time.Now().Add(time.Second))
	text, _ := io.ReadAll(io.LimitReader(http1.NewBody(br, resp.ContentLength), 512))
	line, _, _ := strings.Cut(string(text), "\n")
	return printable(strings.TrimSpace(line))
}

// explain turns an error of dialling into what the agent is told.
func (d *dialer) explain(ctx context.Context, dest target, err error) error {
	var f *fault
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name *net.DNSError
	host := "host '" + dest.host + "' "
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &cert):
		return &fault{502, codeUpstreamTLS, host + "has no acceptable certificate: " + cert.Err.Error()}
	case errors.As(err, &unknown), strings.Contains(err.Error(), "own authority"):
		return &fault{502, codeUpstreamTLS, host + "has no acceptable certificate: " + err.Error()}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault{504, codeUpstreamTimeout, host + "could not be connected in time"}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &name):
		return &fault{502, codeUpstream, host + "cannot be resolved: " + name.Err}
	case timedOut(err):
		return &fault{504, codeUpstreamTimeout, host + "could not be connected in time"}
	}
	return &fault{502, codeUpstream, host + "cannot be reached: " + what(err)}
}

// what is what went wrong, without the addresses of both ends: those of the
// operator's network are not the agent's to know.
func what(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return clip(err.Error())
}

// special are the address blocks beside those that netip knows which are not
// the open internet's (IANA special-purpose registries, RFC 6890).
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),    // CGNAT, RFC 6598
	netip.MustParsePrefix("168.63.129.16/32"), // Azure's metadata and agent service, on a public address
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"), // Teredo and protocol assignments
}

var (
	global6 = netip.MustParsePrefix("2000::/3")     // all IPv6 that is given out, RFC 4291 §2.4
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixTo4  = netip.MustParsePrefix("2002::/16")    // RFC 3056
	sixTo4V = 2
	nat64V  = 12
)

// internal reports whether a is no address of the open internet, in any of the
// forms in which IPv6 carries IPv4.
func internal(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return true
	}
	for _, p := range special {
		if p.Contains(a) {
			return true
		}
	}
	switch {
	case nat64.Contains(a):
		return internal(embedded(a, nat64V))
	case sixTo4.Contains(a):
		return internal(embedded(a, sixTo4V))
	case a.Is6():
		return !global6.Contains(a)
	}
	return false
}

func embedded(a netip.Addr, at int) netip.Addr {
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[at : at+4]))
}
