package standin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"bottle/pkg/ca"
)

// loadAuthority reads the pair as the real one does at the start: the key SEC1
// and not for others to read, the certificate one that may sign.
func (c *config) loadAuthority(path string) (*ca.Authority, error) {
	if !c.TLSInterception.Enabled {
		return nil, nil
	}
	at := func(name string) string {
		if filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	cert, err := os.ReadFile(at(c.TLSInterception.CACert))
	if err != nil {
		return nil, fmt.Errorf("loading TLS interception CA: read CA cert: %w", err)
	}
	keyPath := at(c.TLSInterception.CAKey)
	if fi, err := os.Stat(keyPath); err != nil {
		return nil, fmt.Errorf("loading TLS interception CA: %w", err)
	} else if fi.Mode().Perm()&0o137 != 0 {
		return nil, fmt.Errorf("CA key file %s has overly permissive mode %04o (want 0600 or 0640)", keyPath, fi.Mode().Perm())
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("loading TLS interception CA: no PEM block in CA key file")
	}
	if _, err := x509.ParseECPrivateKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("loading TLS interception CA: parse CA key: %w", err)
	}
	return ca.Load(cert, key)
}

// intercepts tells whether TLS to host is ended here.
func (c *config) intercepts(host string) bool {
	return c.TLSInterception.Enabled && !slices.ContainsFunc(c.TLSInterception.PassthroughDomains, func(p string) bool { return matches(host, p) })
}

// A tunnel is an intercepted CONNECT. It keeps the configuration that it was
// opened with.
type tunnel struct {
	c          *config
	authority  *ca.Authority
	host, port string
	addr       string // to dial
}

// intercept ends the client's TLS and serves the requests in it.
func (t *tunnel) intercept(down net.Conn) {
	leaf, err := t.authority.Leaf(strings.ToLower(t.host))
	if err != nil {
		return
	}
	secure := tls.Server(down, &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12})
	if secure.Handshake() != nil {
		return
	}
	l := &oneConn{conn: secure, closed: make(chan struct{})}
	up := &http.Transport{DialTLSContext: t.dial, ForceAttemptHTTP2: true, DisableCompression: true}
	defer up.CloseIdleConnections()
	srv := &http.Server{Handler: t.handler(up), ConnState: func(c net.Conn, s http.ConnState) {
		switch {
		case s == http.StateClosed:
			l.Close()
		case s == http.StateIdle && t.c.verifiesSNI() && secure.ConnectionState().NegotiatedProtocol != "h2":
			// The real one's defect: with sni_verification the connection is over
			// after an answer, which did not say so.
			c.Close()
		}
	}}
	srv.Serve(l)
}

func (c *config) verifiesSNI() bool {
	return c.ForwardProxy.SNIVerification == nil || *c.ForwardProxy.SNIVerification
}

func (t *tunnel) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, network, t.addr)
	if err != nil {
		return nil, err
	}
	up := tls.Client(raw, &tls.Config{ServerName: t.host, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12})
	if err := up.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return up, nil
}

// Sizes from which on nothing is let through unscanned.
const (
	maxRequest  = 5 << 20
	maxResponse = 5 << 20
)

// secret is one of the real one's patterns.
var secret = regexp.MustCompile(`(ghp_[A-Za-z0-9]{36}|sk-ant-[A-Za-z0-9_-]{20,})`)

func (t *tunnel) handler(up http.RoundTripper) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reason := t.refuses(r); reason != "" {
			http.Error(w, reason, http.StatusForbidden)
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "https", net.JoinHostPort(t.host, t.port)
		for _, h := range []string{"Connection", "Upgrade", "Keep-Alive", "Te", "Accept-Encoding", "Proxy-Connection"} {
			out.Header.Del(h)
		}
		resp, err := up.RoundTrip(out)
		if err != nil {
			http.Error(w, "upstream error", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		t.answer(w, resp)
	})
}

// refuses is why a request is not sent on; "" when it is. It reads the content.
func (t *tunnel) refuses(r *http.Request) string {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, "443"
	}
	if !strings.EqualFold(host, t.host) || port != t.port {
		return "authority mismatch: blocked"
	}
	scan := t.c.RequestBodyScanning
	for _, h := range scan.SensitiveHeaders {
		if scan.Action == "block" && slices.ContainsFunc(r.Header.Values(h), secret.MatchString) {
			return "blocked: request header contains secret"
		}
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return fmt.Sprintf("blocked: request body uses Content-Encoding %q; compressed bodies cannot be scanned for secrets", e)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return fmt.Sprintf("blocked: request body exceeds max_body_bytes (%d)", maxRequest)
	}
	if scan.Action == "block" && secret.Match(body) {
		return "blocked: request body contains secret"
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return ""
}

// answer passes the origin's answer on: whole, but for events, which stream.
func (t *tunnel) answer(w http.ResponseWriter, resp *http.Response) {
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		http.Error(w, "blocked: compressed response cannot be scanned", http.StatusForbidden)
		return
	}
	stream := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	var body []byte
	if !stream {
		var err error
		if body, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1)); err != nil {
			http.Error(w, "blocked: response read error", http.StatusForbidden)
			return
		}
		if len(body) > maxResponse {
			http.Error(w, "blocked: response too large for scanning", http.StatusForbidden)
			return
		}
	}
	for k, vs := range resp.Header {
		if k != "Connection" && k != "Upgrade" && k != "Keep-Alive" {
			w.Header()[k] = vs
		}
	}
	w.WriteHeader(resp.StatusCode)
	if !stream {
		w.Write(body)
		return
	}
	events(w, resp.Body)
}

// events passes a stream on as it comes.
func events(w http.ResponseWriter, from io.Reader) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		w.Write(buf[:n])
		http.NewResponseController(w).Flush()
		if err != nil {
			return
		}
	}
}

// A oneConn is a listener of a connection that is there.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	given  bool
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
