package main

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
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/ca"
)

// TestLoad runs the program as it is shipped under load. BOTTLE_LOAD=full is for
// as many connections as are promised; else there are fewer, so that it is quick.
// A program with the race detector needs other memory and time: there only its
// answers are checked.
func TestLoad(t *testing.T) {
	program := buildProgram(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"start", loadStart}, {"bodies", loadBodies}, {"slow", loadSlow}, {"churn", loadChurn}, {"idle", loadIdle},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, program) })
	}
}

// scaled is a number for a run of BOTTLE_LOAD=full, for one without, and for one
// with the race detector.
func scaled(full, usual, race int) int {
	switch {
	case raceEnabled:
		return race
	case os.Getenv("BOTTLE_LOAD") == "full":
		return full
	}
	return usual
}

// buildProgram builds egress-proxy as 'make build' does. With the race detector
// it is the test binary under that name.
func buildProgram(t *testing.T) string {
	t.Helper()
	if raceEnabled {
		return "egress-proxy"
	}
	path := filepath.Join(t.TempDir(), "egress-proxy")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// A loaded is a running proxy, its origin, and an agent that trusts it.
type loaded struct {
	process
	addr    string
	trust   *x509.CertPool
	secured string // the origin over TLS, HOST:PORT
	plain   string // the same without
}

// startLoaded runs program with an origin that answers h and offers protos.
func startLoaded(t *testing.T, program string, h http.Handler, protos ...string) *loaded {
	t.Helper()
	l := &loaded{trust: x509.NewCertPool()}
	dir := t.TempDir()
	l.trust.AppendCertsFromPEM(newAuthority(t, dir, "ca"))
	newAuthority(t, dir, "origin-ca")
	var ports []string
	l.secured, l.plain = serveLoaded(t, dir, h, protos), serveLoaded(t, "", h, nil)
	for _, a := range []string{l.secured, l.plain} {
		_, port, _ := strings.Cut(a, ":")
		ports = append(ports, port)
	}
	routes := fmt.Sprintf("routes: [{host: localhost, ports: [%s]}]\n", strings.Join(ports, ", "))
	if err := os.WriteFile(filepath.Join(dir, "routes.yaml"), []byte(routes), 0o644); err != nil {
		t.Fatal(err)
	}
	ln := lendable(t)
	l.addr = ln.addr
	cmd := exec.Command(program, "-listen", "fd:3", "-routes", "routes.yaml", "-ca-cert", "ca.pem", "-ca-key", "ca-key.pem",
		"-upstream-ca", "origin-ca.pem", "-allow-private", "127.0.0.0/8", "-allow-private", "::1/128", "-access-log", "none")
	cmd.Dir, cmd.ExtraFiles = dir, []*os.File{ln.file}
	l.process = startProcess(t, cmd)
	l.get(t, "https://"+l.secured+"/") // what is made once is made
	return l
}

// newAuthority makes an authority in dir and returns its certificate.
func newAuthority(t *testing.T, dir, name string) []byte {
	t.Helper()
	cert, key, err := ca.New(name, time.Now())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".pem"), cert, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+"-key.pem"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// serveLoaded serves h on loopback, with the authority in dir or in the clear,
// and returns HOST:PORT.
func serveLoaded(t *testing.T, dir string, h http.Handler, protos []string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	t.Cleanup(func() { srv.Close() })
	if dir == "" {
		go srv.Serve(ln)
	} else {
		authority, err := authority(filepath.Join(dir, "origin-ca.pem"), filepath.Join(dir, "origin-ca-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := authority.Leaf("localhost")
		if err != nil {
			t.Fatal(err)
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*leaf}, NextProtos: protos}
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		srv.Protocols.SetHTTP2(len(protos) > 0 && protos[0] == "h2")
		go srv.ServeTLS(ln, "", "")
	}
	return fmt.Sprintf("localhost:%d", ln.Addr().(*net.TCPAddr).Port)
}

// client goes through the proxy.
func (l *loaded) client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.addr}),
		TLSClientConfig: &tls.Config{RootCAs: l.trust}, ForceAttemptHTTP2: h2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get fetches url with a connection of its own, and fails unless the answer
// is a 200.
func (l *loaded) get(t *testing.T, url string) string {
	t.Helper()
	c := l.client(t, false)
	defer c.CloseIdleConnections()
	c.Timeout = time.Minute
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %d %q %v", url, r.StatusCode, b, err)
	}
	return string(b)
}

// metric is a gauge of the proxy's own, and whether there is one of that name.
func (l *loaded) metric(t *testing.T, name string) (n int, ok bool) {
	t.Helper()
	for line := range strings.Lines(l.get(t, "http://_egress-proxy.local/metrics")) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			_, err := fmt.Sscan(value, &n)
			return n, err == nil
		}
	}
	return 0, false
}

// dial connects to the proxy from one of many addresses, since the ports of one
// run out.
func (l *loaded) dial(i int) (net.Conn, error) {
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
	return d.Dial("tcp", l.addr)
}

// tunnel is dial with a CONNECT to authority that was accepted.
func (l *loaded) tunnel(i int, authority string) (net.Conn, error) {
	c, err := l.dial(i)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", authority)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
	if err == nil && r.StatusCode != 200 {
		err = fmt.Errorf("CONNECT %s: %s", authority, r.Status)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// inside is tunnel with TLS in HTTP/1.1.
func (l *loaded) inside(ctx context.Context, i int, authority string) (*tls.Conn, error) {
	c, err := l.tunnel(i, authority)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(authority, ":")
	inner := tls.Client(c, &tls.Config{RootCAs: l.trust, ServerName: host, CurvePreferences: []tls.CurveID{tls.X25519}})
	if err := inner.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return inner, nil
}
