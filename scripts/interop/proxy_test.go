package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A proxy is a running egress-proxy with its bottle's authority.
type proxy struct {
	addr   string
	dir    string
	cmd    *exec.Cmd
	bottle *authority
}

// startProxy runs egress-proxy with the table routes, trusting origins.
func startProxy(t *testing.T, origins *authority, routes string, flags ...string) *proxy {
	t.Helper()
	p := &proxy{dir: t.TempDir(), bottle: newAuthority(t, "bottle")}
	p.write(t, "routes.yaml", []byte(routes))
	p.write(t, "ca.pem", p.bottle.certPEM)
	p.write(t, "ca-key.pem", p.bottle.keyPEM)
	p.write(t, "origin-ca.pem", origins.certPEM)
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(program, append([]string{"-listen", "127.0.0.1:0", "-routes", "routes.yaml",
		"-ca-cert", "ca.pem", "-ca-key", "ca-key.pem", "-upstream-ca", "origin-ca.pem",
		"-allow-private", "127.0.0.0/8", "-allow-private", "::1/128", "-access-log", "none"}, flags...)...)
	p.cmd.Dir, p.cmd.Stderr = p.dir, log
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // without this process's GODEBUG
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.stop(t, log.Name()) })
	await(t, "the proxy listens", func() bool {
		b, _ := os.ReadFile(log.Name())
		_, rest, _ := strings.Cut(string(b), `"address":"`)
		p.addr, _, _ = strings.Cut(rest, `"`)
		return p.addr != ""
	})
	return p
}

// stop ends the proxy, shows what it said where the test failed, and fails for
// one that had ended by itself.
func (p *proxy) stop(t *testing.T, log string) {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	b, _ := os.ReadFile(log)
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signal() != syscall.SIGKILL || bytes.Contains(b, []byte("panic")) {
		t.Errorf("the proxy ended with %v", p.cmd.ProcessState)
	}
	if t.Failed() {
		t.Logf("the proxy's log: %s", b)
	}
}

func (p *proxy) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload has the proxy read its table again and waits for the answer.
func (p *proxy) reload(t *testing.T) {
	t.Helper()
	before := p.generation(t)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the reload is answered", func() bool { return p.generation(t) > before })
}

func (p *proxy) generation(t *testing.T) (n int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "routes.yaml.status"))
	var status struct {
		Generation int
		Error      string
	}
	if err == nil {
		err = json.Unmarshal(b, &status)
	}
	if err != nil || status.Error != "" {
		t.Fatalf("the answer to a reload: %v %s", err, status.Error)
	}
	return status.Generation
}

// connect asks the proxy for a tunnel.
func (p *proxy) connect(ctx context.Context, authority string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(limit))
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", authority)
	r, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "CONNECT"})
	if err != nil || r.StatusCode != 200 {
		c.Close()
		return nil, fmt.Errorf("CONNECT %s: %v %v", authority, r, err)
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

// dialTLS is connect with TLS inside, on which one of protos was agreed.
func (p *proxy) dialTLS(t *testing.T, authority string, protos ...string) *tls.Conn {
	t.Helper()
	raw, err := p.connect(t.Context(), authority)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	host, _, _ := strings.Cut(authority, ":")
	c := tls.Client(raw, &tls.Config{RootCAs: p.bottle.pool, ServerName: host, NextProtos: protos})
	c.SetDeadline(time.Now().Add(limit))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// client is a client of net/http that goes through the proxy.
func (p *proxy) client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{
		Proxy:                 http.ProxyURL(&url.URL{Scheme: "http", Host: p.addr}),
		TLSClientConfig:       &tls.Config{RootCAs: p.bottle.pool},
		ForceAttemptHTTP2:     h2,
		DisableCompression:    true,
		ExpectContinueTimeout: limit,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 2 * limit}
}

// await waits until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", limit, what)
		}
	}
}
