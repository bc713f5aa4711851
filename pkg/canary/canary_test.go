package canary

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// served is a canary on loopback, and what it has seen.
type served struct {
	t     *testing.T
	proxy *url.URL
	roots *x509.CertPool

	mu   sync.Mutex
	seen []Sight
}

func serve(t *testing.T) *served {
	t.Helper()
	s := &served{t: t, roots: x509.NewCertPool()}
	c, err := New(func(sight Sight) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, sight)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.roots.AppendCertsFromPEM(c.CertPEM())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = &url.URL{Scheme: "http", Host: ln.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *served) client(h2 bool) *http.Client {
	tr := &http.Transport{Proxy: http.ProxyURL(s.proxy), TLSClientConfig: &tls.Config{RootCAs: s.roots}, ForceAttemptHTTP2: h2}
	s.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// saw waits for a sight.
func (s *served) saw(want Sight) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		s.mu.Lock()
		for _, got := range s.seen {
			if got == want {
				s.mu.Unlock()
				return
			}
		}
		s.mu.Unlock()
		if time.Now().After(end) {
			s.t.Fatalf("never seen: %+v; but %+v", want, s.seen)
		}
	}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestRequests(t *testing.T) {
	s := serve(t)
	for _, h2 := range []bool{false, true} {
		name := map[bool]string{false: "one", true: "two"}[h2]
		if status, body := get(t, s.client(h2), "https://"+Host(name)+GetPath); status != 200 || body != Mark+"\n" {
			t.Errorf("%s: %d %q", name, status, body)
		}
		s.saw(Sight{name, Request, h2})
	}
	if status, _ := get(t, s.client(false), "http://"+Host("plain")+GetPath); status != 200 {
		t.Errorf("without TLS: %d", status)
	}
	s.saw(Sight{"plain", Request, false})
	if status, _ := get(t, s.client(false), "http://elsewhere.test/"); status != 403 {
		t.Errorf("another host: %d", status)
	}
	if _, err := s.client(false).Get("https://elsewhere.test/"); err == nil {
		t.Error("a tunnel to another host")
	}
}

func TestRegistries(t *testing.T) {
	s := serve(t)
	c := s.client(true)
	for path, want := range map[string]string{
		"/simple/bottle-canary/": "bottle_canary-1.0.0", "/bottle-canary": `"latest":"1.0.0"`, "/goproxy/canary.test/bottle-canary/@v/list": "v1.0.0\n",
		"/index/bo/tt/bottle-canary": `"vers":"1.0.0"`, "/index/config.json": `"dl":`, "/v3/index.json": "3.0.0",
		"/repo.git/info/refs?service=git-upload-pack": "001e# service=git-upload-pack\n0000004e" + strings.Repeat("1", 40) + " HEAD\x00symref=HEAD:refs/heads/main\n003d" + strings.Repeat("1", 40) + " refs/heads/main\n0000",
	} {
		if status, body := get(t, c, "https://"+Host("c")+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if status, _ := get(t, c, "https://"+Host("c")+"/nothing"); status != 404 {
		t.Errorf("%d", status)
	}
}

// An event stream counts when its client has left it while it was open.
func TestStream(t *testing.T) {
	s := serve(t)
	for _, h2 := range []bool{false, true} {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", "https://"+Host("c")+StreamPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client(h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "data: "+StreamMark+"\n" {
			t.Errorf("%q, %v", line, err)
		}
		leave()
		resp.Body.Close()
		s.saw(Sight{"c", Stream, false})
	}
}

func TestSocket(t *testing.T) {
	s := serve(t)
	req, err := http.NewRequest("GET", "https://"+Host("c")+SocketPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	resp, err := s.client(false).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	// The answer to the key of RFC 6455 §1.3.
	if resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%v", resp)
	}
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "\x81\x18"+SocketMark+"\n\x88\x02\x03\xe8" {
		t.Errorf("%q, %v", text, err)
	}
	s.saw(Sight{"c", Socket, false})
	if status, _ := get(t, s.client(false), "https://"+Host("c")+SocketPath); status != 426 {
		t.Errorf("without a handshake: %d", status)
	}
}

func TestClientOf(t *testing.T) {
	for host, want := range map[string]string{"curl.canary.test": "curl", "curl.canary.test:443": "curl", "canary.test": "", "a.b.canary.test": "", "curl.test": "", "": ""} {
		if got := ClientOf(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}
