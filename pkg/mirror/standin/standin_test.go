package standin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain makes this binary the program when it is started under its name.
// With PIPELOCK naming a real one, TestAnswers compares that instead: what it
// wants is what the real one says.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "pipelock" {
		os.Exit(Main())
	}
	os.Exit(m.Run())
}

// start runs the program with the configuration; it returns its address and the
// file of its standard output.
func start(t *testing.T, config string) (addr, log string) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "pipelock.yaml"), filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"pipelock", "run", "--config", path, "--listen", addr}, Stdout: out, Stderr: out,
		Env: []string{"HOME=" + dir, "STANDIN_HOSTS=named.test=127.0.0.1", "SSL_CERT_FILE=" + os.Getenv("SSL_CERT_FILE")}}
	if real := os.Getenv("PIPELOCK"); real != "" {
		cmd.Path = real
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); healthcheck(addr) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log)
			t.Fatalf("no /health:\n%s", text)
		}
	}
	return addr, log
}

const testConfig = `mode: strict
api_allowlist: ["127.0.0.1", "10.0.0.1", "*.wild.test", "named.test"]
fetch_proxy: {monitoring: {max_requests_per_minute: 6000}}
forward_proxy: {enabled: true}
ssrf: {ip_allowlist: ["127.0.0.0/8"]}
sentry: {enabled: false}
`

// ask sends a raw request and returns the status and the body.
func ask(t *testing.T, addr, request string) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, request)
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestAnswers(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "origin ", r.Host, r.Header.Get("X-Pipelock-Agent"))
	}))
	defer origin.Close()
	at := origin.Listener.Addr().String()
	addr, log := start(t, testConfig)
	connect := func(host, more string) string {
		return "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n"
	}
	plain := func(url string) string {
		return "GET " + url + " HTTP/1.1\r\nHost: " + strings.Split(url, "/")[2] + "\r\nX-Pipelock-Agent: web\r\n\r\n"
	}
	cases := []struct {
		request string
		status  int
		body    string
	}{
		{connect("evil.test:443", "X-Pipelock-Agent: web\r\n"), 403, "CONNECT blocked: domain not in allowlist: evil.test\n"},
		{connect("evilwild.test:443", ""), 403, "CONNECT blocked: domain not in allowlist: evilwild.test\n"},
		{connect("127.0.0.2:1", ""), 403, "CONNECT blocked: domain not in allowlist: 127.0.0.2\n"},
		{connect("10.0.0.1:443", ""), 403, "CONNECT blocked: SSRF blocked: 10.0.0.1 resolves to internal IP 10.0.0.1\n"},
		{connect("127.0.0.1:1", ""), 502, "tunnel dial failed\n"},
		{plain("http://evil.test/"), 403, "blocked: domain not in allowlist: evil.test\n"},
		{plain("http://" + at + "/x"), 200, "origin " + at},
		{plain("http://127.0.0.1:1/"), 502, "forward proxy fetch failed\n"},
	}
	for _, c := range cases {
		if status, body := ask(t, addr, c.request); status != c.status || body != c.body {
			t.Errorf("%q: got %d %q; want %d %q", c.request, status, body, c.status, c.body)
		}
	}
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), `"reason":"domain not in allowlist: evil.test","agent":"web"`) {
		t.Errorf("the log does not name the agent: %v\n%s", err, text)
	}
}

func TestTunnel(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "inner") }))
	defer origin.Close()
	at := origin.Listener.Addr().String()
	addr, _ := start(t, testConfig)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", at, at)
	br := bufio.NewReader(c)
	head := make([]byte, len(established))
	if _, err := io.ReadFull(br, head); err != nil || string(head) != established {
		t.Fatalf("got %q, %v", head, err)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(resp.Body); string(body) != "inner" {
		t.Errorf("got %q", body)
	}
}

func TestForwardProxyOff(t *testing.T) {
	addr, _ := start(t, "mode: strict\napi_allowlist: [a.test]\n")
	if status, body := ask(t, addr, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"); status != 405 || body != "CONNECT not supported\n" {
		t.Errorf("CONNECT: got %d %q", status, body)
	}
	if status, body := ask(t, addr, "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"); status != 405 || body != "forward proxy not enabled\n" {
		t.Errorf("GET: got %d %q", status, body)
	}
}

func TestRateLimit(t *testing.T) {
	addr, _ := start(t, strings.Replace(testConfig, "6000", "2", 1))
	for i, want := range []int{502, 502, 429} {
		if status, body := ask(t, addr, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"); status != want {
			t.Errorf("CONNECT %d: got %d %q; want %d", i+1, status, body, want)
		}
	}
}

func TestResolverTable(t *testing.T) {
	if os.Getenv("PIPELOCK") != "" {
		return // the real one would ask a name server
	}
	addr, _ := start(t, testConfig)
	if status, body := ask(t, addr, "CONNECT named.test:1 HTTP/1.1\r\nHost: named.test:1\r\n\r\n"); status != 502 {
		t.Errorf("known name: got %d %q", status, body)
	}
	if status, body := ask(t, addr, "CONNECT a.wild.test:1 HTTP/1.1\r\nHost: a.wild.test:1\r\n\r\n"); status != 403 || !strings.Contains(body, "DNS resolution error for a.wild.test") {
		t.Errorf("unknown name: got %d %q", status, body)
	}
}
