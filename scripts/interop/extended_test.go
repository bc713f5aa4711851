package interop

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"
)

// webSocketOrigins are the protocols that an origin of a WebSocket may speak,
// and the one in which the proxy has to ask for it, by the agent's own.
var webSocketOrigins = []struct {
	name   string
	protos []string
	want1  string // for an agent of HTTP/1.1
	want2  string // for an agent of HTTP/2
}{
	{"http/1.1", []string{"http/1.1"}, "HTTP/1.1", "HTTP/1.1"},
	{"both", []string{"h2", "http/1.1"}, "HTTP/1.1", ""},
	{"h2", []string{"h2"}, "", "HTTP/2.0"},
}

// TestExtendedConnect: an agent on HTTP/2 asks for a WebSocket (RFC 8441 §5), of
// an origin that knows the same and of one that only knows RFC 6455.
func TestExtendedConnect(t *testing.T) {
	for _, o := range webSocketOrigins {
		t.Run(o.name, func(t *testing.T) {
			seen := make(chan string, 4)
			origin := serveOrigin(t, webSocket(seen), o.protos...)
			s := openStream(t, origin.proxy(t).dialTLS(t, origin.authority(), "h2"))
			s.wantExtendedConnect()
			s.ask(extended(origin.authority(), "/ws")...)
			head, err := s.head()
			if err != nil || head[":status"] != "200" || head["sec-websocket-protocol"] != "chat" {
				t.Fatalf("answered with %v, %v", head, err)
			}
			for _, name := range []string{"connection", "upgrade", "sec-websocket-accept"} {
				if v, ok := head[name]; ok {
					t.Errorf("the answer has %s: %s (RFC 8441 §5)", name, v)
				}
			}
			converse(t, s)
			if got := <-seen; o.want2 != "" && got != o.want2 {
				t.Errorf("the origin was asked in %s", got)
			}
		})
	}
}

func extended(authority, path string) []string {
	return []string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", path, ":authority", authority,
		"sec-websocket-version", "13", "sec-websocket-protocol", "chat", "origin", "https://localhost"}
}

// TestExtendedConnectDirect shows that the origin and the frames are right.
func TestExtendedConnectDirect(t *testing.T) {
	origin := serveOrigin(t, webSocket(make(chan string, 1)), "h2")
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", origin.port), &tls.Config{RootCAs: origin.signer.pool, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := openStream(t, c)
	s.wantExtendedConnect()
	s.ask(extended(origin.authority(), "/ws")...)
	if head, err := s.head(); err != nil || head[":status"] != "200" {
		t.Fatalf("answered with %v, %v", head, err)
	}
	converse(t, s)
}

// TestExtendedConnectRefused: the path list binds it, another protocol than
// websocket is not tunnelled, and an origin that does not switch is no success.
func TestExtendedConnectRefused(t *testing.T) {
	asked := make(chan string, 16)
	origin := serveOrigin(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		io.WriteString(w, "no WebSocket here")
	}), "http/1.1")
	p := startProxy(t, origin.signer, fmt.Sprintf("routes: [{host: localhost, ports: [%d], path_allowlist: [/ws]}]\n", origin.port))
	for name, change := range map[string]func([]string){
		"path":     func(h []string) { h[7] = "/other" },
		"protocol": func(h []string) { h[3] = "connect-udp" },
		"host":     func(h []string) { h[9] = "other.test" },
		"no 101":   func([]string) {},
	} {
		t.Run(name, func(t *testing.T) {
			h := extended(origin.authority(), "/ws")
			change(h)
			s := openStream(t, p.dialTLS(t, origin.authority(), "h2"))
			s.wantExtendedConnect()
			s.ask(h...)
			if head, err := s.head(); err == nil && head[":status"] < "400" {
				t.Errorf("answered with %v", head)
			}
			select {
			case path := <-asked:
				if name != "no 101" {
					t.Errorf("the origin was asked for %s", path)
				}
			default:
				if name == "no 101" {
					t.Error("the origin was not asked")
				}
			}
		})
	}
}

// TestUpgrade: an agent on HTTP/1.1 asks for a WebSocket the old way, of origins
// that offer HTTP/2 too.
func TestUpgrade(t *testing.T) {
	for _, o := range webSocketOrigins {
		if o.want1 == "" {
			continue
		}
		t.Run(o.name, func(t *testing.T) {
			seen := make(chan string, 4)
			origin := serveOrigin(t, webSocket(seen), o.protos...)
			p := origin.proxy(t)
			// A kept HTTP/2 connection to the origin must not get in its way.
			if r, err := p.client(t, true).Get(origin.url("/")); err != nil || r.StatusCode != 400 {
				t.Fatalf("%v %v", r, err)
			}
			c := p.dialTLS(t, origin.authority(), "http/1.1")
			br := upgrade(t, c, origin.authority())
			converse(t, struct {
				io.Reader
				io.Writer
			}{br, c})
			if got := <-seen; got != o.want1 {
				t.Errorf("the origin was asked in %s", got)
			}
		})
	}
}

// upgrade makes the handshake of RFC 6455 §4.1.
func upgrade(t *testing.T, c io.ReadWriter, authority string) *bufio.Reader {
	t.Helper()
	key := base64.StdEncoding.EncodeToString([]byte("sixteen bytes...")[:16])
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n", authority, key)
	br := bufio.NewReader(c)
	r, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != 101 || r.Header.Get("Sec-Websocket-Accept") != acceptKey(key) || r.Header.Get("Sec-Websocket-Protocol") != "chat" {
		dump, _ := httputil.DumpResponse(r, true)
		t.Fatalf("no WebSocket: %s", dump)
	}
	return br
}

// TestReverseProxy: httputil's, whose way out is the proxy, hands on a WebSocket.
func TestReverseProxy(t *testing.T) {
	seen := make(chan string, 1)
	origin := serveOrigin(t, webSocket(seen), "h2", "http/1.1")
	to, err := url.Parse(origin.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: origin.proxy(t).client(t, false).Transport,
	})
	defer front.Close()
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * limit))
	br := upgrade(t, c, "front")
	converse(t, struct {
		io.Reader
		io.Writer
	}{br, c})
}
