package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/http1"
	"bottle/pkg/route"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"
)

// world is a proxy on loopback with all that is around it: a name server that
// says 127.0.0.1 for every name, origins, and an agent that trusts the bottle's
// authority.
type world struct {
	t       testing.TB
	p       *Proxy
	addr    string
	trust   *x509.CertPool // the bottle's authority
	origins *ca.Authority  // that of the origins
	lookups atomic.Int64
	answer  atomic.Value // of the name server, a netip.Addr

	mu    sync.Mutex
	lines []Access
}

const secret = "s3cr3t-token-value-0123456789"

// newWorld starts a proxy that serves the routes (YAML, PORT stands for port).
func newWorld(t testing.TB, routes string, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t}
	w.answer.Store(netip.MustParseAddr("127.0.0.1"))
	bottle, bottlePEM := authority(t, "bottle")
	origins, originPEM := authority(t, "origins")
	w.origins, w.trust = origins, x509.NewCertPool()
	w.trust.AppendCertsFromPEM(bottlePEM)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(originPEM)
	c := Config{Authority: bottle, Table: table(t, routes), Roots: func() *x509.CertPool { return roots }, Bottle: "web",
		Token:        (&Tokens{Getenv: func(n string) string { return map[string]string{"TOKEN": secret, "BAD": "a\nb"}[n] }}).Get,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		AccessLog: func(a *Access) {
			w.mu.Lock()
			w.lines = append(w.lines, *a)
			w.mu.Unlock()
		}}
	if change != nil {
		change(&c)
	}
	w.p = New(c)
	w.p.dial.net.Resolver = w.resolver()
	ln := listen(t)
	w.addr = ln.Addr().String()
	done := make(chan struct{})
	go func() { w.p.Serve(ln); close(done) }()
	t.Cleanup(func() {
		ln.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.p.Drain(ctx)
		<-done
	})
	return w
}

func authority(t testing.TB, name string) (*ca.Authority, []byte) {
	t.Helper()
	cert, key, err := ca.New(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.Load(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return a, cert
}

func table(t testing.TB, routes string) *route.Table {
	t.Helper()
	tab, err := route.Parse("routes.yaml", []byte(routes))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func portOf(ln net.Listener) int { return ln.Addr().(*net.TCPAddr).Port }

// resolver asks a name server of the test's own, which counts.
func (w *world) resolver() *net.Resolver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { pc.Close() })
	go w.serveNames(pc)
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func (w *world) serveNames(pc net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		w.lookups.Add(1)
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil {
			continue
		}
		m.Response = true
		q := m.Questions[0]
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		answer := w.answer.Load().(netip.Addr)
		switch {
		case q.Type == dnsmessage.TypeA && answer.Is4():
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: answer.As4()}}}
		case q.Type == dnsmessage.TypeAAAA && answer.Is6():
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: answer.As16()}}}
		}
		out, _ := m.Pack()
		pc.WriteTo(out, from)
	}
}

// count is a listener that counts what it accepted.
type count struct {
	net.Listener
	n atomic.Int64
}

func (c *count) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// origin serves h with TLS for host, or in the clear when host is "".
func origin(t testing.TB, signer func(string) (*tls.Certificate, error), host string, h http.Handler) *count {
	t.Helper()
	ln := &count{Listener: listen(t)}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	t.Cleanup(func() { srv.Close() })
	if host == "" {
		go srv.Serve(ln)
		return ln
	}
	http2.ConfigureServer(srv, nil)
	go srv.Serve(tls.NewListener(ln, serverTLS(t, signer, host)))
	return ln
}

// originProtos is what origins speak; see both.
var originProtos = []string{"http/1.1"}

func serverTLS(t testing.TB, signer func(string) (*tls.Certificate, error), host string) *tls.Config {
	t.Helper()
	cert, err := signer(host)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: originProtos}
}

// serve is an origin with a certificate that the proxy trusts.
func (w *world) serve(host string, h http.Handler) *count {
	return origin(w.t, w.origins.Leaf, host, h)
}

// raw serves each connection, with TLS for host unless that is "", by hand.
func (w *world) raw(host string, serve func(net.Conn)) *count {
	ln := &count{Listener: listen(w.t)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if host != "" {
				c = tls.Server(c, serverTLS(w.t, w.origins.Leaf, host))
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return ln
}

// routes swaps in another table; ports are filled in by fmt.
func (w *world) routes(format string, args ...any) {
	w.p.SetTable(table(w.t, fmt.Sprintf(format, args...)))
}

func (w *world) client(h2 bool) *http.Client {
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: w.addr}),
		TLSClientConfig: &tls.Config{RootCAs: w.trust}, ForceAttemptHTTP2: h2, DisableCompression: true,
		ExpectContinueTimeout: 5 * time.Second,
	}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// wire is an agent's connection by hand.
type wire struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func (w *world) dial() *wire {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{c, w.t, bufio.NewReader(c)}
}

func (c *wire) send(s string) *wire {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// answer reads one answer with its content.
func (c *wire) answer(method string) (*http1.Response, string) {
	c.t.Helper()
	r, err := http1.ReadResponse(c.br, method, http1.Limits{})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(http1.NewBody(c.br, r.ContentLength))
	if err != nil {
		c.t.Fatal(err)
	}
	return r, string(b)
}

func (c *wire) wantStatus(method string, status int) (*http1.Response, string) {
	c.t.Helper()
	r, b := c.answer(method)
	if r.Status != status {
		c.t.Fatalf("status %d %q; wanted %d", r.Status, b, status)
	}
	return r, b
}

// wantEnd reads to the end of the connection and wants nothing more.
func (c *wire) wantEnd() {
	c.t.Helper()
	b, _ := io.ReadAll(c.br)
	if len(b) > 0 {
		c.t.Fatalf("more came: %q", b)
	}
}

func (c *wire) connect(authority string) *wire {
	c.t.Helper()
	c.send("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n")
	c.wantStatus("CONNECT", 200)
	return c
}

// tls makes the tunnel TLS, with the SNI name ("" for none).
func (c *wire) tls(w *world, name string) *wire {
	c.t.Helper()
	t := tls.Client(c.Conn, &tls.Config{RootCAs: w.trust, ServerName: name, InsecureSkipVerify: name == ""})
	if err := t.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	return &wire{t, c.t, bufio.NewReader(t)}
}

// tunnel is TLS in a tunnel to authority.
func (w *world) tunnel(authority string) *wire {
	w.t.Helper()
	host, _, _ := net.SplitHostPort(authority)
	return w.dial().connect(authority).tls(w, host)
}

// wantLines are the lines of the access log, once there are n.
func (w *world) wantLines(n int) []Access {
	w.t.Helper()
	var lines []Access
	eventually(w.t, "access log lines", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		lines = append([]Access(nil), w.lines...)
		return len(lines) >= n
	})
	return lines
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func text(t testing.TB, r *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func firstOf(s string) string { line, _, _ := strings.Cut(s, "\n"); return line }
