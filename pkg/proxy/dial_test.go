package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/http1"
)

func TestInternal(t *testing.T) {
	for a, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "100.64.0.1": true, "168.63.129.16": true,
		"0.0.0.0": true, "0.1.2.3": true, "224.0.0.1": true, "255.255.255.255": true, "::": true, "::1": true, "fe80::1": true, "fc00::1": true,
		"::ffff:127.0.0.1": true, "::ffff:10.0.0.1": true, "::127.0.0.1": true, "::ffff:0:127.0.0.1": true,
		"64:ff9b::7f00:1": true, "64:ff9b::808:808": false, "64:ff9b:1::1": true, "2002:7f00:1::": true, "2002:808:808::": false,
		"fec0::1": true, "100::1": true, "2001::1": true, "4000::1": true,
		"8.8.8.8": false, "::ffff:8.8.8.8": false, "2606:4700::1": false, "172.32.0.1": false, "100.128.0.1": false,
	} {
		if got := internal(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}

// The address that is dialled is looked at, whatever the name.
func TestPrivateAddresses(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::1"} {
		w := newWorld(t, "routes: [{host: yes.test}]", func(c *Config) { c.AllowPrivate = nil })
		w.answer.Store(netip.MustParseAddr(a))
		r, err := w.client(true).Get("https://yes.test/")
		text(t, r, err)
		if r.StatusCode != 403 || r.Header.Get(ReasonHeader) != codeInternal {
			t.Errorf("%s: %d %v", a, r.StatusCode, r.Header)
		}
	}
}

func TestNotItself(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	w.p.Self = []netip.AddrPort{netip.MustParseAddrPort(w.addr)}
	w.routes("routes: [{host: yes.test, ports: [%d]}]", w.p.Self[0].Port())
	r, err := w.client(false).Get(fmt.Sprintf("http://yes.test:%d/", w.p.Self[0].Port()))
	if b := text(t, r, err); !strings.Contains(b, "the proxy itself") {
		t.Error(b)
	}
}

// Certificates that do not verify: 502 that says so, and no byte of HTTP.
func TestCertificates(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	other, _ := authority(t, "nobody's")
	w.p.Roots().AddCert(leafCA(t, w)) // the bottle's own authority among the roots
	for name, ln := range map[string]*count{
		"unknown": origin(t, other.Leaf, "yes.test", http.HandlerFunc(hello)),
		"name":    w.serve("else.test", http.HandlerFunc(hello)),
		"ours":    origin(t, w.p.Authority.Leaf, "yes.test", http.HandlerFunc(hello)),
	} {
		w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
		r, err := w.client(true).Get(fmt.Sprintf("https://yes.test:%d/", portOf(ln)))
		if b := text(t, r, err); r.StatusCode != 502 || r.Header.Get(ReasonHeader) != codeUpstreamTLS || !strings.Contains(b, "certificate") {
			t.Errorf("%s: %d %q", name, r.StatusCode, b)
		}
	}
}

func leafCA(t *testing.T, w *world) *x509.Certificate {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.p.Authority.CertPEM())
	leaf, err := w.p.Authority.Leaf("x.test")
	if err != nil {
		t.Fatal(err)
	}
	c, _ := x509.ParseCertificate(leaf.Certificate[0])
	chains, err := c.Verify(x509.VerifyOptions{Roots: pool})
	if err != nil {
		t.Fatal(err)
	}
	return chains[0][1]
}

// Origins that are no origins: an answer with a text, in bounded time.
func TestBadOrigins(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) { c.Limits.Answer, c.Limits.Dial = 300*time.Millisecond, 300*time.Millisecond })
	readHead := func(c net.Conn) { http1.ReadRequest(bufio.NewReader(c), http1.Limits{}) }
	closed := listen(t)
	closed.Close()
	for name, c := range map[string]struct {
		ln     net.Listener
		status int
	}{
		"refused":   {closed, 502},
		"no TLS":    {w.raw("", func(c net.Conn) { io.WriteString(c, "SSH-2.0\r\n") }), 502},
		"silentTLS": {w.raw("", func(c net.Conn) { io.Copy(io.Discard, c) }), 504},
		"silent":    {w.raw("yes.test", func(c net.Conn) { io.Copy(io.Discard, c) }), 504},
		"closes":    {w.raw("yes.test", readHead), 502},
		"garbage":   {w.raw("yes.test", func(c net.Conn) { readHead(c); io.WriteString(c, "garbage\r\n\r\n") }), 502},
		"both": {w.raw("yes.test", func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
		}), 502},
		"101": {w.raw("yes.test", func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n")
		}), 502},
		"bomb": {w.raw("yes.test", func(c net.Conn) {
			readHead(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		}), 502},
		"interims": {w.raw("yes.test", func(c net.Conn) { readHead(c); io.WriteString(c, strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 100)) }), 502},
	} {
		t.Run(name, func(t *testing.T) {
			w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(c.ln))
			for _, h2 := range []bool{false, true} {
				start := time.Now()
				r, err := w.client(h2).Get(fmt.Sprintf("https://yes.test:%d/", portOf(c.ln)))
				if b := text(t, r, err); r.StatusCode != c.status || !strings.HasPrefix(b, "egress-proxy: ") || time.Since(start) > 5*time.Second {
					t.Errorf("h2 %v: %d %q", h2, r.StatusCode, b)
				}
			}
		})
	}
}

// chained is a second proxy: it tunnels to 127.0.0.1, says no to no.test, and
// its tunnels die after one answer.
type chained struct {
	mu    sync.Mutex
	heads []*http1.Request
}

func (s *chained) serve(c net.Conn) {
	br := bufio.NewReader(c)
	req, err := http1.ReadRequest(br, http1.Limits{})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.heads = append(s.heads, req)
	s.mu.Unlock()
	_, port, _ := net.SplitHostPort(req.Target)
	if strings.HasPrefix(req.Target, "no.test") {
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 21\r\n\r\nblocked by allowlist\n")
		return
	}
	up, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return
	}
	defer up.Close()
	io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	go io.Copy(up, br)
	io.Copy(c, up)
}

// README: A refused name is not resolved, not dialled, not mentioned to the
// second proxy.
func TestSecondProxy(t *testing.T) {
	var got sync.Map
	second := &chained{}
	var at *count
	w := newWorld(t, "routes: []", nil)
	at = w.raw("", second.serve)
	w2 := newWorld(t, "routes: []", func(c *Config) {
		c.Upstream = &url.URL{Scheme: "http", Host: at.Addr().String()}
		c.Roots, c.AllowPrivate = w.p.Roots, nil
	})
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		n, _ := got.LoadOrStore(string(b), new(int))
		*n.(*int)++
		rw.Header().Set("Connection", "close") // the tunnel dies
		rw.Write(b)
	}))
	w2.routes("routes: [{host: yes.test, ports: [%d], auth_scheme: Bearer, token_env: TOKEN}, {host: no.test}]", portOf(o))
	client := w2.client(false)
	for i := range 400 {
		if i == 200 {
			client = w2.client(true)
		}
		body := fmt.Sprint("post ", i)
		r, err := client.Post(fmt.Sprintf("https://yes.test:%d/", portOf(o)), "text/plain", io.MultiReader(strings.NewReader(body)))
		if b := text(t, r, err); b != body {
			t.Fatalf("%d: %q", i, b)
		}
	}
	n := 0
	got.Range(func(_, v any) bool {
		n++
		if *v.(*int) != 1 {
			t.Error("a request was doubled")
		}
		return true
	})
	if n != 400 {
		t.Errorf("%d requests arrived; wanted 400", n)
	}
	r, err := client.Get("https://no.test/")
	if b := text(t, r, err); r.StatusCode != 502 || !strings.Contains(b, "403: blocked by allowlist") || r.Header.Get(ReasonHeader) != codeChain {
		t.Errorf("%d %q", r.StatusCode, b)
	}
	r, err = client.Get("https://refused.test/")
	if b := text(t, r, err); r.StatusCode != 403 || firstOf(b) != strings.ReplaceAll(refusal, "no.test", "refused.test") {
		t.Errorf("%d %q", r.StatusCode, b)
	}
	second.mu.Lock()
	defer second.mu.Unlock()
	for _, h := range second.heads {
		if strings.Contains(h.Target, "refused.test") {
			t.Error("a refused name was mentioned to the second proxy")
		}
		if h.Method != "CONNECT" || len(h.Header) != 2 || h.Header.Get("X-Pipelock-Agent") != "web" {
			t.Fatalf("%+v", h)
		}
	}
	if w2.lookups.Load() != 0 {
		t.Error("a name was looked up here")
	}
	at.Close()
	r, err = client.Get(fmt.Sprintf("https://yes.test:%d/", portOf(o)))
	if text(t, r, err); r.StatusCode != 502 {
		t.Errorf("without the second proxy: %d", r.StatusCode)
	}
}

// Bytes behind an answer, even in a TLS record of their own that crypto/tls has
// read ahead, never become the next request's answer.
func TestSurplusBytes(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	const good, evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	serve := func(c net.Conn) {
		hold := &gather{Conn: c}
		t := tls.Server(hold, serverTLS(w.t, w.origins.Leaf, "yes.test"))
		br := bufio.NewReader(t)
		for {
			if _, err := http1.ReadRequest(br, http1.Limits{}); err != nil {
				return
			}
			hold.on = true
			io.WriteString(t, good)
			io.WriteString(t, evil)
			hold.on = false
			c.Write(hold.b)
			hold.b = nil
		}
	}
	ln := w.raw("", serve)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	client := w.client(false)
	for range 20 {
		r, err := client.Get(fmt.Sprintf("https://yes.test:%d/", portOf(ln)))
		if b := text(t, r, err); b != "good" {
			t.Fatalf("%q", b)
		}
	}
}

// gather holds back what is written while it is on, to send it in one segment.
type gather struct {
	net.Conn
	on bool
	b  []byte
}

func (g *gather) Write(p []byte) (int, error) {
	if g.on {
		g.b = append(g.b, p...)
		return len(p), nil
	}
	return g.Conn.Write(p)
}

// What the agent is told of a failure holds no address.
func TestFaultHidesAddresses(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	resets := w.raw("", func(c net.Conn) {
		http1.ReadRequest(bufio.NewReader(c), http1.Limits{})
		c.(*net.TCPConn).SetLinger(0)
	})
	closed := listen(t)
	closed.Close()
	w.routes("routes: [{host: yes.test, ports: [%d, %d]}]", portOf(resets), portOf(closed))
	for _, ln := range []net.Listener{resets, closed} {
		r, err := w.client(false).Get(fmt.Sprintf("http://yes.test:%d/", portOf(ln)))
		if b := text(t, r, err); r.StatusCode != 502 || strings.Contains(b, "127.0.0.1") {
			t.Errorf("%d %q", r.StatusCode, b)
		}
	}
}
