package standin

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/ca"
)

// inside is an HTTP/1.1 connection in a tunnel through a pipelock that ends TLS.
type inside struct {
	t    *testing.T
	c    *tls.Conn
	br   *bufio.Reader
	host string
}

// intercepted starts a pipelock that ends TLS, with more settings of
// forward_proxy, before an origin.
func intercepted(t *testing.T, origin http.Handler, forward string) func() *inside {
	srv := httptest.NewTLSServer(origin)
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	cert, key, err := ca.New("standin test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if key, err = ca.SEC1(key); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"ca.pem": cert, "ca-key.pem": key, "roots.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "roots.pem"))
	addr, _ := start(t, fmt.Sprintf(`mode: strict
api_allowlist: ["127.0.0.1"]
forward_proxy: {enabled: true%s}
tls_interception: {enabled: true, ca_cert: %q, ca_key: %q}
request_body_scanning: {enabled: true, action: block, sensitive_headers: [Cookie]}
ssrf: {ip_allowlist: ["127.0.0.0/8"]}
fetch_proxy: {monitoring: {max_requests_per_minute: 6000}}
`, forward, filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")))
	return func() *inside { return dialInside(t, addr, srv.Listener.Addr().String()) }
}

func dialInside(t *testing.T, addr, host string) *inside {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(raw, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", host, host)
	head := make([]byte, len(established))
	if _, err := io.ReadFull(raw, head); err != nil || string(head) != established {
		t.Fatalf("got %q, %v", head, err)
	}
	// Whose certificate it is: see below.
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().PeerCertificates[0].Issuer.CommonName; got != "standin test" {
		t.Errorf("the certificate is %q's", got)
	}
	return &inside{t, c, bufio.NewReader(c), host}
}

// ask sends a request; the error is that of reading an answer.
func (in *inside) ask(method, path, header, body string) (int, string, error) {
	fmt.Fprintf(in.c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n%s", method, path, in.host, len(body), header, body)
	resp, err := http.ReadResponse(in.br, nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// TestInterception: what is let through, and what is refused in which words.
func TestInterception(t *testing.T) {
	dial := intercepted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			w.Write(make([]byte, maxResponse+1))
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
		}
		fmt.Fprintf(w, "upgrade %q, encoding %q", r.Header["Upgrade"], r.Header["Accept-Encoding"])
	}), ", sni_verification: false")
	in := dial()
	const token = "ghp_aB3dE6gH9aB3dE6gH9aB3dE6gH9aB3dE6gH9"
	cases := []struct {
		method, path, header, body string
		status                     int
		want                       string
	}{
		{"GET", "/", "Connection: Upgrade\r\nUpgrade: websocket\r\nAccept-Encoding: gzip\r\n", "", 200, `upgrade [], encoding []`},
		{"POST", "/", "Content-Type: text/plain\r\n", token, 403, "blocked: request body contains secret"},
		{"GET", "/", "Cookie: a=" + token + "\r\n", "", 403, "blocked: request header contains secret\n"},
		{"GET", "/", "Authorization: Bearer " + token + "\r\n", "", 200, "upgrade"},
		{"POST", "/", "Content-Encoding: gzip\r\n", "x", 403, `blocked: request body uses Content-Encoding "gzip"`},
		{"GET", "/gzip", "", "", 403, "blocked: compressed response cannot be scanned\n"},
		{"GET", "/large", "", "", 403, "blocked: response too large for scanning\n"},
	}
	for _, c := range cases {
		if status, body, err := in.ask(c.method, c.path, c.header, c.body); err != nil || status != c.status || !strings.HasPrefix(body, c.want) {
			t.Errorf("%s %s %s: got %d %q, %v; want %d %q", c.method, c.path, c.header, status, body, err, c.status, c.want)
			in = dial()
		}
	}
	in = dial()
	in.host = "127.0.0.1"
	if status, body, err := in.ask("GET", "/", "", ""); err != nil || status != 403 || body != "authority mismatch: blocked\n" {
		t.Errorf("another port: got %d %q, %v", status, body, err)
	}
}

// TestKeepAliveDefect: with sni_verification the connection is over after an
// answer that did not say so.
func TestKeepAliveDefect(t *testing.T) {
	dial := intercepted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }), "")
	in := dial()
	if status, _, err := in.ask("GET", "/", "", ""); err != nil || status != 200 {
		t.Fatalf("the first: got %d, %v", status, err)
	}
	if status, _, err := in.ask("GET", "/", "", ""); err == nil {
		t.Errorf("the second: got %d; want the end of the connection", status)
	}
}
