package scripts

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/mirror"
	"bottle/pkg/route"
	"bottle/pkg/state"
)

// A chain is egress-proxy, a pipelock behind it and an origin. The pipelock is
// the stand-in, or the one that PIPELOCK names.
type chain struct {
	t         *testing.T
	dir       string
	port      int // the origin's
	plainPort int // without TLS
	proxy     *url.URL
	pipe      mirror.Pipelock
	trusted   *x509.CertPool // the agent's
	access    string

	mu   sync.Mutex
	seen map[string]int // what the origin was sent, by its content
	auth string         // the last Authorization
}

// chainSecret has the form of a credential that pipelock looks for.
var chainSecret = "ghp_" + strings.Repeat("aB3dE6gH9", 4)

// newChain starts all three; the pipelock does not know gone.test.
func newChain(t *testing.T) *chain {
	c := &chain{t: t, dir: t.TempDir(), seen: map[string]int{}}
	originCA := c.serveOrigin()
	lock := c.table("scan.test", "*.wild.test", "key.test", "pass.test", "new.test", "plain.test")
	roots, err := ca.Bundle(originCA)
	if err != nil {
		t.Fatal(err)
	}
	listen := freePort(t)
	start, err := mirror.Prepare(mirror.Settings{Name: "chain", Dir: filepath.Join(c.dir, "pipelock"), Listen: listen, Table: lock, Intercept: true,
		Passthrough: []string{"pass.test"}, AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	c.startPipelock(listen, start)
	c.startProxy(listen, originCA, start.CA)
	return c
}

// table is a route for each host, at the origin's port. key.test has a credential.
func (c *chain) table(hosts ...string) *route.Table {
	var routes []route.Route
	for _, h := range hosts {
		r := route.Route{Host: h, Ports: []int{c.port}}
		if h == "plain.test" {
			r.Ports = []int{c.plainPort}
		}
		if h == "key.test" {
			r.AuthScheme, r.TokenEnv = "Bearer", "EGRESS_PROXY_TOKEN_0"
		}
		routes = append(routes, r)
	}
	t, err := route.New(routes)
	if err != nil {
		c.t.Fatal(err)
	}
	return t
}

func (c *chain) serveOrigin() (authority []byte) {
	cert, key, err := ca.New("chain origin", time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	signer, err := ca.Load(cert, key)
	if err != nil {
		c.t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.seen[string(body)]++
		c.auth = r.Header.Get("Authorization")
		c.mu.Unlock()
		fmt.Fprintf(w, "%s has %s\n", r.Host, body)
	}))
	srv.EnableHTTP2 = true
	srv.TLS = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return signer.Leaf(h.ServerName) }}
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // pipelock dials once in vain for each tunnel that it ends
	srv.StartTLS()
	c.t.Cleanup(srv.Close)
	c.port = srv.Listener.Addr().(*net.TCPAddr).Port
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %q has %s", r.Method, r.Host, r.URL, r.Header["X-Pipelock-Agent"], body)
	}))
	c.t.Cleanup(plain.Close)
	c.plainPort = plain.Listener.Addr().(*net.TCPAddr).Port
	return cert
}

func (c *chain) startPipelock(listen string, start *mirror.Start) {
	dir := filepath.Join(c.dir, "pipelock")
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	for _, f := range start.Files {
		c.write(filepath.Join("pipelock", f.Name), f.Data, f.Mode)
	}
	var table []string
	var hosts strings.Builder
	for _, h := range []string{"scan.test", "wild.test", "a.b.wild.test", "key.test", "pass.test", "gone.test", "new.test", "plain.test"} {
		table = append(table, h+"=127.0.0.1")
		fmt.Fprintf(&hosts, "127.0.0.1 %s\n", h)
	}
	program, args := filepath.Join(base, "bin", "standin"), start.Args
	if real := os.Getenv("PIPELOCK"); real != "" {
		// It asks the resolver: /etc/hosts is another one for it.
		c.write("hosts", []byte(hosts.String()), 0o644)
		program, args = "/usr/bin/unshare", append([]string{"-r", "-m", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, filepath.Join(c.dir, "hosts"), real}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(start.Env, roleEnv+"=pipelock", noRaceSleep, "STANDIN_HOSTS="+strings.Join(table, ","), "PATH=/usr/bin:/bin", "HOME="+c.dir)
	part := c.run(cmd, "pipelock.log")
	await(c.t, "pipelock is healthy", func() bool {
		resp, err := http.Get("http://" + listen + "/health")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
	c.pipe = mirror.Pipelock{Place: mirror.Local{Config: filepath.Join(dir, mirror.ConfigFile), Log: filepath.Join(c.dir, "pipelock.log"), Process: part}, Wait: limit}
}

func (c *chain) startProxy(upstream string, certs ...[]byte) {
	cert, key, err := ca.New("bottle chain", time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	both, err := ca.Join(certs...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("ca.pem", cert, 0o600)
	c.write("ca-key.pem", key, 0o600)
	c.write("upstream-ca.pem", both, 0o600)
	c.write("routes.yaml", c.table("scan.test", "*.wild.test", "key.test", "pass.test", "gone.test", "plain.test").Encode(), 0o600)
	in := func(name string) string { return filepath.Join(c.dir, name) }
	listen := freePort(c.t)
	c.access = in("access.jsonl")
	cmd := exec.Command(filepath.Join(base, "bin", "egress-proxy"), "-listen", listen, "-bottle", "chain", "-routes", in("routes.yaml"), "-ca-cert", in("ca.pem"), "-ca-key", in("ca-key.pem"),
		"-upstream", "http://"+upstream, "-upstream-ca", in("upstream-ca.pem"), "-token-dir", in("tokens"), "-access-log", c.access)
	cmd.Env = []string{"EGRESS_PROXY_TOKEN_0=" + chainSecret}
	c.run(cmd, "egress-proxy.log")
	c.proxy = &url.URL{Scheme: "http", Host: listen}
	await(c.t, "egress-proxy listens", func() bool {
		conn, err := net.Dial("tcp", listen)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	c.trusted = x509.NewCertPool()
	c.trusted.AppendCertsFromPEM(cert)
}

// run starts a part whose output goes to a file.
func (c *chain) run(cmd *exec.Cmd, output string) state.Part {
	f, err := os.OpenFile(filepath.Join(c.dir, output), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	part, err := state.PartOf(cmd.Process.Pid)
	if err != nil {
		c.t.Fatal(err)
	}
	return part
}

func (c *chain) write(name string, data []byte, mode os.FileMode) {
	if err := os.WriteFile(filepath.Join(c.dir, name), data, mode); err != nil {
		c.t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// agent is a client in the bottle.
func (c *chain) agent(h2 bool) *http.Client {
	tr := &http.Transport{Proxy: http.ProxyURL(c.proxy), TLSClientConfig: &tls.Config{RootCAs: c.trusted}, ForceAttemptHTTP2: h2}
	c.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: limit}
}

// post sends content that cannot be sent twice: nobody knows how to read it again.
func (c *chain) post(client *http.Client, host, content string) (int, http.Header, string, error) {
	resp, err := client.Post(fmt.Sprintf("https://%s:%d/x", host, c.port), "text/plain", struct{ io.Reader }{strings.NewReader(content)})
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(body), err
}

// TestChain: requests through both proxies, the second of which ends TLS too.
func TestChain(t *testing.T) {
	c := newChain(t)
	for name, h2 := range map[string]bool{"http1": false, "http2": true} {
		t.Run(name, func(t *testing.T) { c.none(t, name, h2) })
	}
	t.Run("plain", func(t *testing.T) { c.plain(t) })
	t.Run("scanned", func(t *testing.T) { c.scanned(t) })
	t.Run("refused", func(t *testing.T) { c.refused(t) })
	said, err := os.ReadFile(filepath.Join(c.dir, "pipelock.log"))
	if err != nil || !strings.Contains(string(said), `"agent":"chain"`) {
		t.Errorf("pipelock was not told the bottle's name: %v\n%s", err, said)
	}
}

// none of 400 requests whose content cannot be sent again is lost, none doubled.
func (c *chain) none(t *testing.T, name string, h2 bool) {
	client := c.agent(h2)
	const workers, each = 4, 100
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				content := fmt.Sprintf("%s-%d-%d", name, w, i)
				status, _, body, err := c.post(client, "scan.test", content)
				if want := fmt.Sprintf("scan.test:%d has %s\n", c.port, content); err != nil || status != 200 || body != want {
					t.Errorf("%s: %d %q, %v", content, status, body, err)
				}
			}
		})
	}
	all.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range workers {
		for i := range each {
			if content := fmt.Sprintf("%s-%d-%d", name, w, i); c.seen[content] != 1 {
				t.Errorf("%s came %d times", content, c.seen[content])
			}
		}
	}
}

// plain: without TLS the second proxy is asked for the whole URL.
func (c *chain) plain(t *testing.T) {
	for _, content := range []string{"", "content"} {
		req, err := http.NewRequest("POST", fmt.Sprintf("http://plain.test:%d/x%%20y?q=1", c.plainPort), strings.NewReader(content))
		must(t, err)
		req.Header.Set("X-Pipelock-Agent", "another")
		resp, err := c.agent(false).Do(req)
		must(t, err)
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := fmt.Sprintf("POST plain.test:%d /x%%20y?q=1 [] has %s", c.plainPort, content); string(got) != want {
			t.Errorf("got %d %q; wanted %q", resp.StatusCode, got, want)
		}
	}
}

// scanned: what passes each kind of host.
func (c *chain) scanned(t *testing.T) {
	client := c.agent(false)
	cases := []struct {
		host, content string
		status        int
		text          string
	}{
		{"a.b.wild.test", "below", 200, "has below"}, // the wildcard as it is, and its apex
		{"wild.test", "apex", 200, "has apex"},
		{"scan.test", chainSecret, 403, "blocked: request body contains secret"},
		{"pass.test", chainSecret, 200, "has " + chainSecret},
		{"key.test", "with the proxy's credential", 200, "has with"},
	}
	for _, k := range cases {
		if status, _, body, err := c.post(client, k.host, k.content); err != nil || status != k.status || !strings.Contains(body, k.text) {
			t.Errorf("%s: %d %q, %v; wanted %d %q", k.host, status, body, err, k.status, k.text)
		}
	}
	if c.auth != "Bearer "+chainSecret {
		t.Errorf("the origin got %q", c.auth)
	}
}

// refused: pipelock's no is told from the origin's, with its text; a host that is
// mirrored is through at once.
func (c *chain) refused(t *testing.T) {
	client := c.agent(false)
	status, header, body, err := c.post(client, "gone.test", "x")
	if err != nil || status != 502 || header.Get("X-Egress-Proxy-Reason") != "upstream-proxy-refused" || !strings.Contains(body, "the second proxy answered 403: CONNECT blocked: domain not in allowlist: gone.test") {
		t.Errorf("%d %v %q, %v", status, header, body, err)
	}
	if _, err := c.pipe.Apply(t.Context(), mirror.Wish{Names: []string{"gone.test"}}); err != nil {
		t.Fatal(err)
	}
	if status, _, body, err := c.post(client, "gone.test", "through"); err != nil || status != 200 {
		t.Errorf("mirrored: %d %q, %v", status, body, err)
	}
	_, err = c.pipe.Apply(t.Context(), mirror.Wish{Names: []string{"new.test"}, Passed: []string{"new.test"}})
	if err == nil || !strings.Contains(err.Error(), "nothing written, pipelock unchanged") {
		t.Errorf("to be passed: %v", err)
	}
}
