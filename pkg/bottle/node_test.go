package bottle

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A tunneller is a proxy that knows one way: to the server, whatever was asked for.
// refused.test is refused, cut.test is closed on, slow.test gets its answer in pieces.
type tunneller struct {
	addr   string
	server string

	mu    sync.Mutex
	asked []string
}

func newTunneller(t *testing.T, server string) *tunneller {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &tunneller{addr: ln.Addr().String(), server: server}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *tunneller) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, req.Method+" "+req.Host)
	p.mu.Unlock()
	switch {
	case strings.HasPrefix(req.Host, "cut.test"):
		return
	case strings.HasPrefix(req.Host, "refused.test"):
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
		return
	case strings.HasPrefix(req.Host, "slow.test"):
		for _, b := range []byte("HTTP/1.1 200 OK\r\nX: y\r\n\r") {
			c.Write([]byte{b})
		}
		io.WriteString(c, "\n")
	default:
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	}
	up, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { io.Copy(up, r); up.Close() }()
	io.Copy(c, up)
}

// oldNode is a node that asks no proxy by itself.
func oldNode(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	const able = `process.exit(process.allowedNodeEnvironmentFlags.has("--use-env-proxy") ? 1 : 0)`
	if exec.CommandContext(ctx, path, "-e", able).Run() != nil {
		t.Skip("this node asks the proxy by itself")
	}
	return path
}

// TestNodeProxy: what a program of an old Node asks for goes through the proxy,
// with whatever agent, but for what no_proxy names and what has a way of its own.
func TestNodeProxy(t *testing.T) {
	node := oldNode(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "to "+r.Host) }))
	defer srv.Close()
	dir := t.TempDir()
	script := filepath.Join(dir, "node-proxy.cjs")
	if err := os.WriteFile(script, nodeProxyText, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newTunneller(t, srv.Listener.Addr().String())
	program := `
const http = require("http"), net = require("net"), near = "` + srv.URL + `";
const get = (url, options = {}) => new Promise(done => http.get(url, options, r => {
  let s = ""; r.on("data", d => s += d).on("end", () => done(s)); }).on("error", e => done("error: " + e.message)));
const own = new (class extends http.Agent { createConnection() { return net.connect(new URL(near).port, "127.0.0.1"); } })();
const alive = new http.Agent({ keepAlive: true });
(async () => {
  console.log(await get("http://a.test/"));
  console.log(await get("http://b.test:81/", { agent: new http.Agent() }));
  console.log(await get("http://kept.test/", { agent: alive }) + ", " + await get("http://kept.test/", { agent: alive }));
  console.log(await get("http://c.test/", { agent: false }));
  console.log(await get("http://slow.test/"));
  console.log(await get("http://refused.test/"));
  console.log(await get("http://cut.test/"));
  console.log(await get("http://own.test/", { agent: own }));
  console.log(await get(near));
  console.log(await (await fetch("http://f.test/")).text());
  console.log(await fetch("http://refused.test/").catch(e => "error: " + e.cause.message));
  console.log(await (await fetch(near)).text());
  alive.destroy();
})();
`
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "-e", program)
	cmd.Env = []string{"https_proxy=http://" + p.addr, "no_proxy=localhost,127.0.0.1,::1", "NODE_OPTIONS=--require=" + script}
	out, err := cmd.CombinedOutput()
	host := strings.TrimPrefix(srv.URL, "http://")
	want := strings.Join([]string{"to a.test", "to b.test:81", "to kept.test, to kept.test", "to c.test", "to slow.test",
		"error: the proxy has refused a tunnel to refused.test:80: HTTP/1.1 403 Forbidden", "error: the proxy has closed the connection to cut.test:80",
		"to own.test", "to " + host, "to f.test", "error: the proxy has refused a tunnel to refused.test:80: HTTP/1.1 403 Forbidden", "to " + host, ""}, "\n")
	if err != nil || string(out) != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out, want)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := []string{"CONNECT a.test:80", "CONNECT b.test:81", "CONNECT kept.test:80", "CONNECT c.test:80", "CONNECT slow.test:80", "CONNECT refused.test:80",
		"CONNECT cut.test:80", "CONNECT f.test:80", "CONNECT refused.test:80"}
	if !slices.Equal(p.asked, asked) {
		t.Errorf("the proxy was asked %q", p.asked)
	}
}
