package proxy

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottle/pkg/http1"
	"bottle/pkg/route"
)

// seen is an origin that writes down what reached it, and echoes nothing.
type seen struct{ reqs chan *http.Request }

func newSeen() *seen { return &seen{make(chan *http.Request, 100)} }

func (s *seen) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	s.reqs <- r
}

func TestCredential(t *testing.T) {
	w, s := newWorld(t, "routes: []", nil), newSeen()
	o, plain := w.serve("yes.test", s), w.serve("", s)
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+secret))
	for name, c := range map[string]struct{ auth, field, want string }{
		"bearer": {"auth_scheme: Bearer, token_env: TOKEN", "Authorization", "Bearer " + secret},
		"header": {"auth_scheme: '', token_env: TOKEN, auth_header: X-Api-Key", "X-Api-Key", secret},
		"basic":  {"auth_scheme: Basic, token_env: TOKEN, auth_user: user", "Authorization", basic},
	} {
		t.Run(name, func(t *testing.T) {
			w.routes("routes: [{host: yes.test, ports: [%d, %d], %s}]", portOf(o), portOf(plain), c.auth)
			h1 := w.tunnel(to).send("POST / HTTP/1.1\r\nHost: " + to + "\r\nAuthorization: Bearer mine\r\naUTHORIZATION: x\r\nX-Api-Key: mine\r\nX_Api_Key: mine\r\n" +
				"Proxy-Authorization: Basic mine\r\nConnection: Authorization, X-Api-Key, X-Gone\r\nX-Gone: 1\r\nKeep-Alive: 1\r\nTrailer: Authorization\r\n" +
				"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nAuthorization: Bearer trailer\r\nX-Api-Key: trailer\r\nX-Sum: 1\r\n\r\n")
			h1.wantStatus("POST", 200)
			got := <-s.reqs
			if v := got.Header.Values(c.field); len(v) != 1 || v[0] != c.want {
				t.Errorf("%s: %q", c.field, v)
			}
			if all := fmt.Sprint(got.Header, got.Trailer); strings.Contains(all, "Basic mine") || strings.Contains(all, "Gone") || strings.Contains(all, "Bearer trailer") ||
				c.field == "X-Api-Key" && (strings.Contains(all, "X-Api-Key:[trailer") || strings.Contains(all, "X_")) {
				t.Errorf("left over: %s", all)
			}
			req, _ := http.NewRequest("GET", "https://"+to+"/", nil)
			req.Header = http.Header{"Authorization": {"a", "b"}, "X-Api-Key": {"mine"}, "Proxy-Authorization": {"mine"}}
			r, err := w.client(true).Do(req)
			text(t, r, err)
			if v := (<-s.reqs).Header.Values(c.field); len(v) != 1 || v[0] != c.want {
				t.Errorf("h2 %s: %q", c.field, v)
			}
			r, err = w.client(false).Get(fmt.Sprintf("http://yes.test:%d/", portOf(plain)))
			text(t, r, err)
			if r.Header.Get(ReasonHeader) != codePlainCredential || plain.n.Load() != 0 {
				t.Errorf("plain http: %v", r.Header)
			}
		})
	}
}

// On a bare route the agent's own Authorization is passed on.
func TestBareAuthorization(t *testing.T) {
	w, s := newWorld(t, "routes: []", nil), newSeen()
	o := w.serve("yes.test", s)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	req, _ := http.NewRequest("GET", fmt.Sprintf("https://yes.test:%d/", portOf(o)), nil)
	req.Header.Set("Authorization", "Bearer mine")
	req.Header["User-Agent"] = nil
	r, err := w.client(false).Do(req)
	text(t, r, err)
	got := <-s.reqs
	if got.Header.Get("Authorization") != "Bearer mine" || len(got.Header) != 1 {
		t.Errorf("%v", got.Header)
	}
}

func TestCredentialMissing(t *testing.T) {
	w := newWorld(t, "routes: [{host: yes.test, auth_scheme: Bearer, token_env: NONE}, {host: bad.test, auth_scheme: Bearer, token_env: BAD}]", nil)
	for host, variable := range map[string]string{"yes.test": "NONE", "bad.test": "BAD"} {
		r, err := w.client(true).Get("https://" + host + "/")
		if b := text(t, r, err); r.StatusCode != 502 || !strings.Contains(b, variable) {
			t.Errorf("%d %q", r.StatusCode, b)
		}
	}
	if w.lookups.Load() != 0 {
		t.Error("a name was looked up")
	}
}

func TestTokenFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, v string) { os.WriteFile(filepath.Join(dir, name), []byte(v), 0o600) }
	put("A", "one\r\n")
	put("EMPTY", "\n")
	put("CTL", "a\x01b")
	put("LONG", strings.Repeat("x", maxToken+1))
	os.Symlink("A", filepath.Join(dir, "LINK"))
	os.Mkdir(filepath.Join(dir, "DIR"), 0o700)
	tok := &Tokens{Dir: dir, Getenv: func(string) string { return "" }}
	for _, name := range []string{"EMPTY", "CTL", "LONG", "LINK", "DIR", "ABSENT"} {
		if v, err := tok.Get(name); err == nil {
			t.Errorf("%s: %q", name, v)
		}
	}
	if v, err := tok.Get("A"); string(v) != "one" || err != nil {
		t.Errorf("%q %v", v, err)
	}
	put("A", "two")
	if v, _ := tok.Get("A"); string(v) != "one" {
		t.Error("read again before Forget")
	}
	tok.Forget()
	if v, _ := tok.Get("A"); string(v) != "two" {
		t.Errorf("after Forget: %q", v)
	}
}

// An origin that echoes the credential: it reaches neither the agent nor the log.
func TestScrubbed(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	kind := "application/json"
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a := r.Header.Get("Authorization")
		rw.Header().Set("Content-Type", kind)
		rw.Header().Set("X-Echo", a)
		rw.Header().Set(ReasonHeader, "host-not-allowed")
		rw.Header().Set(http.TrailerPrefix+ReasonHeader, "host-not-allowed")
		f := rw.(http.Flusher)
		io.WriteString(rw, "whole "+a+" halves "+secret[:10])
		f.Flush()
		io.WriteString(rw, secret[10:]+" end ")
		f.Flush()
		for i := range secret {
			io.WriteString(rw, secret[i:i+1])
			f.Flush()
		}
	}))
	w.routes("routes: [{host: yes.test, ports: [%d], auth_scheme: Bearer, token_env: TOKEN}]", portOf(o))
	for _, h2 := range []bool{false, true} {
		r, err := w.client(h2).Get(fmt.Sprintf("https://yes.test:%d/", portOf(o)))
		b := text(t, r, err)
		if strings.Contains(b+fmt.Sprint(r.Header), secret) || strings.Contains(b, secret[15:]) || !strings.Contains(b, "whole Bearer ****") ||
			!strings.Contains(b, "* end ") || r.Header.Get("X-Echo") != "Bearer [scrubbed]" {
			t.Errorf("%q %v", b, r.Header)
		}
		if r.Header.Get(ReasonHeader)+r.Trailer.Get(ReasonHeader) != "" {
			t.Errorf("the origin spoke for the proxy: %v %v", r.Header, r.Trailer)
		}
	}
	kind = "application/octet-stream"
	r, err := w.client(false).Get(fmt.Sprintf("https://yes.test:%d/", portOf(o)))
	if b := text(t, r, err); !strings.Contains(b, secret) {
		t.Error("bytes that are no text were changed")
	}
	if log := fmt.Sprintf("%+v", w.wantLines(3)); strings.Contains(log, secret) {
		t.Errorf("in the log: %s", log)
	}
}

// The reason of a status line is an answer's head too.
func TestScrubbedReason(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	ln := w.raw("yes.test", func(c net.Conn) {
		req, err := http1.ReadRequest(bufio.NewReader(c), http1.Limits{})
		if err == nil {
			io.WriteString(c, "HTTP/1.1 200 "+req.Header.Get("Authorization")+"\r\nContent-Length: 0\r\n\r\n")
		}
	})
	w.routes("routes: [{host: yes.test, ports: [%d], auth_scheme: Bearer, token_env: TOKEN}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	r, _ := w.tunnel(to).send("GET / HTTP/1.1\r\nHost: "+to+"\r\n\r\n").wantStatus("GET", 200)
	if r.Reason != "Bearer [scrubbed]" {
		t.Errorf("reason %q", r.Reason)
	}
}

func TestMask(t *testing.T) {
	const s = "abcabcabd-xyz"
	stars := strings.Repeat("*", len(s))
	for in, want := range map[string]string{
		"": "", "none": "none", s: stars, "<" + s + ">": "<" + stars + ">", s + s: stars + stars,
		"abc" + s: "abc" + stars, "abcabcabd-xyY": "abcabcabd-xyY", "abcab": "abcab",
	} {
		p := []byte(in)
		m := newMask(s)
		m.apply(p)
		if string(p) != want {
			t.Errorf("%q: %q; wanted %q", in, p, want)
		}
	}
	// Cut anywhere, at most the first half passes.
	for cut := range len(s) {
		m, p := newMask(s), []byte("x"+s+"x")
		m.apply(p[:cut+1])
		m.apply(p[cut+1:])
		if strings.Contains(string(p), s[len(s)/2:]) || p[0] != 'x' || p[len(p)-1] != 'x' {
			t.Errorf("cut %d: %q", cut, p)
		}
	}
}

// What the magic host shows is a table that can be loaded, without values.
func TestIntrospection(t *testing.T) {
	w := newWorld(t, `routes: [{host: yes.test, path_allowlist: ["/a<b"], methods: [GET], ports: [443], auth_scheme: Bearer, token_env: TOKEN, expires: 2099-01-01T00:00:00Z},
  {host: "*.x.test", tls: passthrough}, {host: key.test, auth_scheme: Basic, auth_user: u, token_env: BAD, role: claude_code_oauth}]`, nil)
	for _, base := range []string{"http://", "https://"} {
		r, err := w.client(true).Get(base + MagicHost + "/allowlist")
		b := text(t, r, err)
		shown, err := route.Parse("allowlist", []byte(b))
		if err != nil || shown.Digest() != w.p.Table().Digest() || strings.Contains(b, secret) {
			t.Errorf("%v\n%s", err, b)
		}
	}
	for path, want := range map[string]string{"/healthz": "ok", "/status": "{", "/metrics": "egress_proxy_routes 3", "/ca.pem": "BEGIN CERTIFICATE", "/x": "has /allowlist"} {
		r, err := w.client(false).Get("https://" + MagicHost + path)
		if b := text(t, r, err); !strings.Contains(b, want) {
			t.Errorf("%s: %q", path, b)
		}
	}
	w.dial().send("GET /healthz HTTP/1.1\r\nHost: "+MagicHost+"\r\n\r\n").wantStatus("GET", 200)
	w.dial().send("POST http://"+MagicHost+"/allowlist HTTP/1.1\r\nHost: "+MagicHost+"\r\n\r\n").wantStatus("POST", 405)
	if w.lookups.Load() != 0 {
		t.Error("looked up")
	}
}

// A wildcard that passes TLS through does not cover the magic host.
func TestMagicHostIsNoTunnel(t *testing.T) {
	w := newWorld(t, "routes: [{host: '*.local', tls: passthrough}]", nil)
	r, err := w.client(false).Get("https://" + strings.ToUpper(MagicHost) + "/healthz")
	if text(t, r, err) != "ok\n" || w.lookups.Load() != 0 {
		t.Error("the magic host was dialled")
	}
}

// passthrough: the origin's own certificate, and the SNI must agree.
func TestPassthrough(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	w.routes("routes: [{host: yes.test, ports: [%d], tls: passthrough}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	other := tls.Client(w.dial().connect(to).Conn, &tls.Config{ServerName: "other.test", InsecureSkipVerify: true})
	if other.Handshake() == nil || o.n.Load() != 0 {
		t.Error("another SNI passed")
	}
	c := tls.Client(w.dial().connect(to).Conn, &tls.Config{ServerName: "yes.test", RootCAs: w.p.Roots()})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: yes.test\r\n\r\n")
	b := make([]byte, 12)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "HTTP/1.1 200" {
		t.Errorf("%q %v", b, err)
	}
	w.p.SetTable(table(t, "routes: [{host: yes.test}]")) // intercepted from now on
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Log("closed in due form")
	}
}

// An agent that holds back its ClientHello while a reload makes the route an
// intercepted one gets no tunnel.
func TestPassthroughEndsBeforeHello(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	w.routes("routes: [{host: yes.test, ports: [%d], tls: passthrough}]", portOf(o))
	c := w.dial().connect(fmt.Sprintf("yes.test:%d", portOf(o)))
	held := &heldBack{Conn: c.Conn, reload: func() {
		eventually(t, "the tunnel waits", func() bool { return w.p.inFlight() == 1 })
		w.routes("routes: [{host: yes.test, ports: [%d], methods: [GET]}]", portOf(o))
	}}
	if tls.Client(held, &tls.Config{ServerName: "yes.test", RootCAs: w.p.Roots()}).Handshake() == nil || o.n.Load() != 0 {
		t.Error("a tunnel past an intercepted route")
	}
}

// heldBack sends the first byte of the first write, reloads, and sends the rest.
type heldBack struct {
	net.Conn
	reload func()
}

func (h *heldBack) Write(p []byte) (int, error) {
	if h.reload == nil {
		return h.Conn.Write(p)
	}
	h.Conn.Write(p[:1])
	h.reload()
	h.reload = nil
	n, err := h.Conn.Write(p[1:])
	return n + 1, err
}
