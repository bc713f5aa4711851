package standin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A block is a refusal: its status, the scanner that found it, and the text
// that follows "blocked: ".
type block struct {
	status  int
	scanner string
	reason  string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := fmt.Sprintf("req-%d", s.requests.Add(1))
	switch {
	case r.Method == http.MethodConnect:
		s.connect(w, r, id)
	case r.URL.IsAbs():
		s.forward(w, r, id)
	case r.URL.Path == "/health":
		s.health(w)
	default:
		http.NotFound(w, r)
	}
}

// examine decides about host, and gives the address to dial for port.
func (s *server) examine(c *config, host, port string) (string, *block) {
	if !c.allows(host) {
		return "", &block{403, "allowlist", "domain not in allowlist: " + host}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		at, ok := s.hosts[strings.ToLower(strings.TrimSuffix(host, "."))]
		if addr = at.Addr(); at.Port() != 0 {
			port = strconv.Itoa(int(at.Port()))
		}
		if !ok && s.resolves {
			found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip4", host)
			if ok = err == nil && len(found) > 0; ok {
				addr = found[0].Unmap()
			}
		}
		if !ok {
			return "", &block{403, "ssrf", "SSRF check failed: DNS resolution error for " + host + ": no such host"}
		}
	}
	if !c.reaches(addr) {
		return "", &block{403, "ssrf", "SSRF blocked: " + host + " resolves to internal IP " + addr.String()}
	}
	if s.rate.exceeded(host, c.FetchProxy.Monitoring.MaxRequestsPerMinute) {
		return "", &block{429, "ratelimit", "rate limit exceeded for " + host}
	}
	return net.JoinHostPort(addr.String(), port), nil
}

func (s *server) connect(w http.ResponseWriter, r *http.Request, id string) {
	c := s.config.Load()
	if !c.ForwardProxy.Enabled {
		http.Error(w, "CONNECT not supported", http.StatusMethodNotAllowed)
		return
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = r.Host, "443"
	}
	e := event{Level: "warn", Event: "blocked", Method: "CONNECT", Target: r.Host, ClientIP: clientIP(r), RequestID: id, Agent: agent(r)}
	addr, b := s.examine(c, host, port)
	if b != nil {
		e.Scanner, e.Reason, e.Message = b.scanner, b.reason, "request blocked"
		s.log(e)
		s.hint(w, c, b)
		http.Error(w, "CONNECT blocked: "+b.reason, b.status)
		return
	}
	up, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		e.Level, e.Event, e.Error, e.Message = "error", "error", err.Error(), "request error"
		s.log(e)
		http.Error(w, "tunnel dial failed", http.StatusBadGateway)
		return
	}
	if authority := s.authority.Load(); authority != nil && c.intercepts(host) {
		up.Close() // the real one has dialled by now as well
		s.inside(w, &tunnel{c, authority, host, port, addr}, e)
		return
	}
	s.tunnel(w, up, e)
}

// inside ends the TLS of the client and serves what is in it.
func (s *server) inside(w http.ResponseWriter, t *tunnel, e event) {
	down, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	e.Event, e.Scanner, e.Reason, e.Message = "anomaly", "tls_intercept", "TLS MITM interception active", "anomaly detected"
	s.log(e)
	if _, err := io.WriteString(down, established); err != nil {
		return
	}
	t.intercept(peeked{down, buf})
}

// peeked is a connection of which buf has read ahead.
type peeked struct {
	net.Conn
	buf *bufio.ReadWriter
}

func (p peeked) Read(b []byte) (int, error) { return p.buf.Read(b) }

const established = "HTTP/1.1 200 Connection Established\r\n\r\n"

// tunnel joins the client to up until either side ends.
func (s *server) tunnel(w http.ResponseWriter, up net.Conn, e event) {
	defer up.Close()
	down, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	e.Level, e.Event, e.Message = "info", "tunnel_open", "tunnel opened"
	s.log(e)
	if _, err := io.WriteString(down, established); err != nil {
		return
	}
	var sent, received int64
	var both sync.WaitGroup
	both.Go(func() { sent, _ = io.Copy(up, buf); closeWrite(up) })
	both.Go(func() { received, _ = io.Copy(down, up); closeWrite(down) })
	both.Wait()
	e.Event, e.Message, e.Bytes = "tunnel_close", "tunnel closed", sent+received
	s.log(e)
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.CloseWrite()
	}
}

// direct dials as it is told, whatever proxy the environment names.
var direct = &http.Transport{DisableCompression: true}

// forward sends a plain request on.
func (s *server) forward(w http.ResponseWriter, r *http.Request, id string) {
	c := s.config.Load()
	if !c.ForwardProxy.Enabled {
		http.Error(w, "forward proxy not enabled", http.StatusMethodNotAllowed)
		return
	}
	e := event{Level: "warn", Event: "blocked", Method: r.Method, URL: r.URL.String(), ClientIP: clientIP(r), RequestID: id, Agent: agent(r)}
	port := r.URL.Port()
	if port == "" {
		port = "80"
	}
	addr, b := s.examine(c, r.URL.Hostname(), port)
	if b != nil {
		e.Scanner, e.Reason, e.Message = b.scanner, b.reason, "request blocked"
		s.log(e)
		s.hint(w, c, b)
		http.Error(w, "blocked: "+b.reason, b.status)
		return
	}
	out := r.Clone(r.Context())
	out.Host, out.URL.Host, out.RequestURI = r.URL.Host, addr, ""
	for _, h := range []string{"Connection", "Proxy-Connection", "Proxy-Authorization", "X-Pipelock-Agent"} {
		out.Header.Del(h)
	}
	resp, err := direct.RoundTrip(out)
	if err != nil {
		http.Error(w, "forward proxy fetch failed", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	for k, vs := range resp.Header {
		w.Header()[k] = vs
	}
	w.WriteHeader(resp.StatusCode)
	e.Bytes, _ = io.Copy(w, resp.Body)
	e.Level, e.Event, e.Message = "info", "forward_http", "request forwarded"
	s.log(e)
}

func (s *server) hint(w http.ResponseWriter, c *config, b *block) {
	if c.ExplainBlocks {
		w.Header().Set("X-Pipelock-Hint", "blocked by "+b.scanner)
	}
}

func clientIP(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}

// agent is who asks, as the client says.
func agent(r *http.Request) string {
	if a := r.Header.Get("X-Pipelock-Agent"); a != "" {
		return a
	}
	return "anonymous"
}
