package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const refusal = "egress-proxy: host 'no.test' is not in the bottle's egress_proxy.routes allowlist"

func hello(rw http.ResponseWriter, r *http.Request) {
	io.WriteString(rw, r.Method+" "+r.RequestURI+" "+r.Host)
}

// Each way in: allowed to the one origin, refused to the other, which is neither
// resolved nor dialled.
//
// README: A refusal is a 403 inside TLS that begins `egress-proxy: host 'H'
// is not in the bottle's egress_proxy.routes allowlist`.
func TestAllowAndRefuse(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o, plain := w.serve("yes.test", http.HandlerFunc(hello)), w.serve("", http.HandlerFunc(hello))
	w.routes("routes: [{host: yes.test, ports: [%d, %d, 80]}]", portOf(o), portOf(plain))
	for name, c := range map[string]struct {
		h2   bool
		base string
		port int
	}{
		"h1": {false, "https://", portOf(o)}, "h2": {true, "https://", portOf(o)}, "absolute": {false, "http://", portOf(plain)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := w.client(c.h2).Get(fmt.Sprintf("%syes.test:%d/a//b/%%7e?q=%%2f&&", c.base, c.port))
			got := text(t, r, err)
			if want := fmt.Sprintf("GET /a//b/%%7e?q=%%2f&& yes.test:%d", c.port); got != want {
				t.Errorf("got %q; wanted %q", got, want)
			}
			if (r.ProtoMajor == 2) != c.h2 {
				t.Errorf("protocol %s", r.Proto)
			}
			before := w.lookups.Load()
			r, err = w.client(c.h2).Get(c.base + "no.test/secret?x=y")
			if got := text(t, r, err); firstOf(got) != refusal || !strings.Contains(got, "egress-proxy-block") {
				t.Errorf("refusal %q", got)
			}
			if r.StatusCode != 403 || r.Header.Get(ReasonHeader) != "host-not-allowed" {
				t.Errorf("%d %v", r.StatusCode, r.Header)
			}
			if n := w.lookups.Load() - before; n != 0 {
				t.Errorf("%d lookups for a refused name", n)
			}
		})
	}
}

func TestProblemJSON(t *testing.T) {
	w := newWorld(t, "routes: [{host: a.no.test}]", nil)
	req, _ := http.NewRequest("GET", "https://no.test/p", nil)
	req.Header.Set("Accept", "application/json")
	r, err := w.client(true).Do(req)
	var p problem
	if err := json.Unmarshal([]byte(text(t, r, err)), &p); err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Content-Type") != "application/problem+json" || p.Status != 403 || p.Code != "host-not-allowed" ||
		p.Host != "no.test" || p.Tool != "egress-proxy-block" || p.Nearest != "a.no.test" || "egress-proxy: "+p.Detail != refusal {
		t.Errorf("%+v %v", p, r.Header)
	}
}

// What disagrees with the destination is refused, and nothing is dialled.
func TestOneIdentity(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	port := portOf(o)
	w.routes("routes: [{host: yes.test, ports: [%d, 80]}, {host: other.test, ports: [%d, 80]}]", port, port)
	at := func(host string) string { return fmt.Sprintf("%s:%d", host, port) }
	get := func(target, host string) string { return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	inside := func(sni, req string) func() *wire {
		return func() *wire { return w.dial().connect(at("yes.test")).tls(w, sni).send(req) }
	}
	clear := func(req string) func() *wire { return func() *wire { return w.dial().send(req) } }
	for name, c := range map[string]struct {
		do     func() *wire
		status int
	}{
		"Host":              {inside("yes.test", get("/", at("other.test"))), 403},
		"Host port":         {inside("yes.test", get("/", "yes.test:444")), 403},
		"Host without port": {inside("yes.test", get("/", "yes.test")), 403},
		"SNI":               {inside("other.test", get("/", at("yes.test"))), 403},
		"absolute host":     {inside("yes.test", get("https://"+at("other.test")+"/", at("yes.test"))), 403},
		"absolute scheme":   {inside("yes.test", get("http://"+at("yes.test")+"/", at("yes.test"))), 403},
		"userinfo":          {inside("yes.test", get("/", "u@"+at("yes.test"))), 403},
		"percent":           {inside("yes.test", get("/", "%79es.test")), 403},
		"relative":          {inside("yes.test", get("x", at("yes.test"))), 403},
		"nested CONNECT":    {inside("yes.test", "CONNECT "+at("yes.test")+" HTTP/1.1\r\nHost: "+at("yes.test")+"\r\n\r\n"), 403},
		"magic Host":        {inside("yes.test", get("/allowlist", MagicHost)), 403},
		"clear Host":        {clear(get("http://"+at("yes.test")+"/", at("other.test"))), 403},
		"clear https":       {clear(get("https://"+at("yes.test")+"/", at("yes.test"))), 403},
		"clear ftp":         {clear(get("ftp://yes.test/", "yes.test")), 403},
		"clear userinfo":    {clear(get("http://u:p@"+at("yes.test")+"/", at("yes.test"))), 403},
		"origin form":       {clear(get("/", "yes.test")), 400},
		"CONNECT Host":      {clear("CONNECT " + at("yes.test") + " HTTP/1.1\r\nHost: other.test\r\n\r\n"), 403},
		"CONNECT no port":   {clear("CONNECT yes.test HTTP/1.1\r\nHost: yes.test\r\n\r\n"), 400},
		"CONNECT port 0":    {clear("CONNECT yes.test:0 HTTP/1.1\r\nHost: yes.test\r\n\r\n"), 400},
		"CONNECT port +":    {clear("CONNECT yes.test:+443 HTTP/1.1\r\nHost: yes.test\r\n\r\n"), 400},
		"CONNECT bytes":     {clear("CONNECT yes.test\\@x:443 HTTP/1.1\r\nHost: yes.test\r\n\r\n"), 400},
		"octal address":     {clear("CONNECT 0177.0.0.1:443 HTTP/1.1\r\nHost: 0177.0.0.1:443\r\n\r\n"), 400},
		"hex address":       {clear(get("http://0x7f.1/", "0x7f.1")), 403},
		"number address":    {clear(get("http://2130706433/", "2130706433")), 403},
		"mapped address":    {clear("CONNECT [::ffff:127.0.0.1]:443 HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
		"address":           {clear(get("http://127.0.0.1/", "127.0.0.1")), 403},
		"TRACE":             {inside("yes.test", "TRACE / HTTP/1.1\r\nHost: "+at("yes.test")+"\r\n\r\n"), 403},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := c.do().wantStatus("GET", c.status)
			if r.Header.Get(ReasonHeader) == "" {
				t.Error("no reason")
			}
		})
	}
	if o.n.Load() != 0 || w.lookups.Load() != 0 {
		t.Errorf("%d connections, %d lookups; wanted none", o.n.Load(), w.lookups.Load())
	}
}

// What is no HTTP inside TLS reaches nobody.
func TestNotHTTP(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	w.routes("routes: [{host: yes.test, ports: [%d, 80]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	w.dial().connect(to).send("SSH-2.0-x\r\n").wantStatus("GET", 403)
	w.dial().connect(to).send("\x00\x01raw").wantEnd()
	w.dial().connect(to).send("GET / HTTP/1.1\r\nHost: "+to+"\r\n\r\n").wantStatus("GET", 403)
	w.tunnel(to).send("\x16\x03\x01\x00\x05hello").wantStatus("GET", 400)
	w.tunnel(to).send("GET /\r\n\r\n").wantStatus("GET", 505)
	w.tunnel(to).send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").wantStatus("GET", 505)
	if o.n.Load() != 0 || w.lookups.Load() != 0 {
		t.Errorf("%d connections, %d lookups; wanted none", o.n.Load(), w.lookups.Load())
	}
}

func TestMethodsPathsPortsExpiry(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	w.routes(`{"routes": [{"host": "yes.test", "ports": [%d], "methods": ["GET"], "path_allowlist": ["/ok"]},
		{"host": "old.test", "ports": [%d], "expires": "2020-01-01T00:00:00Z"}]}`, portOf(o), portOf(o))
	for _, h2 := range []bool{false, true} {
		for _, c := range []struct{ method, host, path, code string }{
			{"GET", "yes.test", "/ok/x", ""},
			{"POST", "yes.test", "/ok/x", "method-not-allowed"},
			{"GET", "yes.test", "/okay", "path-not-allowed"},
			{"GET", "yes.test", "/ok/%2e%2e/x", "path-ambiguous"},
			{"GET", "yes.test", "/ok//x", "path-ambiguous"},
			{"GET", "yes.test", "/ok/a;b", "path-ambiguous"},
			{"GET", "old.test", "/", "route-expired"},
		} {
			req, _ := http.NewRequest(c.method, fmt.Sprintf("https://%s:%d%s", c.host, portOf(o), c.path), nil)
			r, err := w.client(h2).Do(req)
			text(t, r, err)
			if got := r.Header.Get(ReasonHeader); got != c.code {
				t.Errorf("h2 %v %v: %q", h2, c, got)
			}
		}
		r, err := w.client(h2).Get("https://yes.test/ok")
		text(t, r, err)
		if got := r.Header.Get(ReasonHeader); got != "port-not-allowed" {
			t.Errorf("port 443: %q", got)
		}
	}
}

// Requests that two parsers could frame differently end the connection; no byte
// of them is sent on.
func TestFraming(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(rw, r.Body) }))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	for _, fields := range []string{
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 3\r\nContent-Length: 3\r\n",
		"Content-Length: 3, 3\r\n", "Content-Length: +3\r\n", "Transfer-Encoding: chunked, chunked\r\n",
		"Transfer-Encoding : chunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "X: a\r\n b\r\n", "X: a\n", "X: \x00\r\n", "Host: " + to + "\r\n",
	} {
		c := w.tunnel(to).send("POST / HTTP/1.1\r\nHost: " + to + "\r\n" + fields + "\r\nabcGET /smuggled HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
		c.wantStatus("POST", 400)
		c.wantEnd()
	}
	if o.n.Load() != 0 {
		t.Errorf("%d connections to the origin", o.n.Load())
	}
	// The head is good, the content is not: 400, and the origin sees it cut.
	c := w.tunnel(to).send("POST / HTTP/1.1\r\nHost: " + to + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc")
	c.send("dezz\r\n0\r\n\r\n")
	c.wantStatus("POST", 400)
	c.wantEnd()
}

// CONNECT host:80 with plain HTTP inside is Node's fetch.
func TestConnectPlain(t *testing.T) {
	w := newWorld(t, "routes: [{host: yes.test}]", func(c *Config) { c.AllowPrivate = nil })
	c := w.dial().connect("yes.test:80").send("GET /x HTTP/1.1\r\nHost: yes.test\r\n\r\n")
	r, _ := c.wantStatus("GET", 403)
	if got := r.Header.Get(ReasonHeader); got != codeInternal {
		t.Errorf("%q; wanted the request to be decided and the address refused", got)
	}
	c.send("GET /x HTTP/1.1\r\nHost: no.test\r\n\r\n").wantStatus("GET", 403)
}

// Pipelined and many requests on one connection.
func TestKeepAlive(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	o := w.serve("yes.test", http.HandlerFunc(hello))
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(o))
	to := fmt.Sprintf("yes.test:%d", portOf(o))
	c := w.tunnel(to)
	var all strings.Builder
	for i := range 300 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\nabc", i, to)
	}
	go io.WriteString(c, all.String())
	for i := range 300 {
		if _, got := c.wantStatus("POST", 200); got != fmt.Sprintf("POST /%d %s", i, to) {
			t.Fatalf("answer %d: %q", i, got)
		}
	}
	if o.n.Load() != 1 {
		t.Errorf("%d connections to the origin; wanted 1", o.n.Load())
	}
	c.send("GET /last HTTP/1.0\r\nHost: " + to + "\r\n\r\n")
	if r, _ := c.wantStatus("GET", 200); !r.Close {
		t.Error("HTTP/1.0 without close")
	}
	c.wantEnd()
}

func TestClientHelloInPieces(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	c := w.dial().connect("no.test:443")
	s := &wire{slow{c.Conn}, t, nil}
	s = s.tls(w, "no.test").send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n")
	if _, b := s.wantStatus("GET", 403); firstOf(b) != refusal {
		t.Errorf("%q", b)
	}
	n := w.dial().connect("no.test:443").tls(w, "").send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n")
	n.wantStatus("GET", 403) // no SNI
}

// slow writes a byte at a time.
type slow struct{ net.Conn }

func (s slow) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}
