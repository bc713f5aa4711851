// Package canary is an origin for trying clients: it answers in the tongues that
// they speak, and says what has reached it.
//
// It is the second proxy before it, too, which knows its names: CONNECT and
// requests for a whole URL come in on one listener. So nothing has to be resolved,
// and nothing leaves the machine that it runs on. The client that is tried is told
// by the first label of the host that it asks for.
package canary

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"bottle/pkg/ca"
)

// Domain is the canary's: each client has a host of its own in it (RFC 6761 §6.2).
const Domain = "canary.test"

// Host is where the client of that name asks.
func Host(client string) string { return client + "." + Domain }

// ClientOf is the client whose host that is, with or without a port, or "".
func ClientOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	client, ok := strings.CutSuffix(host, "."+Domain)
	if !ok || strings.Contains(client, ".") {
		return ""
	}
	return client
}

// Mark is in what a client is sent, so that it can be found in what it prints.
const Mark = "bottle-canary"

// The kinds of a Sight.
const (
	Request = "request"
	Socket  = "websocket" // a handshake that was answered
	Stream  = "sse"       // an event stream whose client went before its end
)

// A Sight is what has reached the canary of a client.
type Sight struct {
	Client string `json:"client"`
	Kind   string `json:"kind"`
	HTTP2  bool   `json:"http2,omitempty"`
}

// A Canary is one that listens.
type Canary struct {
	authority *ca.Authority
	saw       func(Sight)
	inner     *tunnels
}

// New makes one with an authority of its own. It calls saw, from any goroutine,
// for all that reaches it.
func New(saw func(Sight)) (*Canary, error) {
	cert, key, err := ca.New(Domain, time.Now())
	if err != nil {
		return nil, err
	}
	authority, err := ca.Load(cert, key)
	if err != nil {
		return nil, err
	}
	return &Canary{authority: authority, saw: saw}, nil
}

// CertPEM is its authority, which the proxy before it must trust.
func (c *Canary) CertPEM() []byte { return c.authority.CertPEM() }

// Serve serves ln until ctx ends. The error is that of ln.
func (c *Canary) Serve(ctx context.Context, ln net.Listener) error {
	c.inner = &tunnels{addr: ln.Addr(), conns: make(chan net.Conn), ended: ctx.Done()}
	quiet := log.New(io.Discard, "", 0)
	limit := 20 * time.Second // to keep what nobody asks for from staying
	inside := &http.Server{Handler: http.HandlerFunc(c.answer), ErrorLog: quiet, ReadHeaderTimeout: limit,
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return c.authority.Leaf(h.ServerName) }}}
	front := &http.Server{Handler: http.HandlerFunc(c.proxy), ErrorLog: quiet, ReadHeaderTimeout: limit}
	go inside.ServeTLS(c.inner, "", "")
	defer context.AfterFunc(ctx, func() { front.Close(); inside.Close() })()
	err := front.Serve(ln)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// proxy is the second proxy: it opens a tunnel to the canary's own names.
func (c *Canary) proxy(w http.ResponseWriter, r *http.Request) {
	switch {
	case ClientOf(r.Host) == "":
		http.Error(w, "no such host here", http.StatusForbidden)
	case r.Method != http.MethodConnect:
		c.answer(w, r)
	default:
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if rw.Reader.Buffered() > 0 {
			conn.Close() // nothing is sent before our answer
			return
		}
		conn.SetDeadline(time.Time{})
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		c.inner.add(conn)
	}
}

// tunnels are connections that were opened by CONNECT, as a listener.
type tunnels struct {
	addr  net.Addr
	conns chan net.Conn
	ended <-chan struct{}
}

func (t *tunnels) add(c net.Conn) {
	select {
	case t.conns <- c:
	case <-t.ended:
		c.Close()
	}
}

func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.ended:
		return nil, net.ErrClosed
	}
}

func (t *tunnels) Close() error   { return nil }
func (t *tunnels) Addr() net.Addr { return t.addr }
