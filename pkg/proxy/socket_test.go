package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/http1"

	"golang.org/x/sys/unix"
)

// idleConn is the one idle connection to an origin, once something came on it
// that nobody has read.
func (w *world) idleConn() (u *upConn) {
	w.t.Helper()
	eventually(w.t, "something unread on an idle connection", func() (ready bool) {
		w.p.pool.mu.Lock()
		defer w.p.pool.mu.Unlock()
		for _, h := range w.p.pool.hosts {
			for _, u = range h.list {
				u.sock.rc.Control(func(fd uintptr) {
					n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
					ready = ready || n > 0
				})
			}
		}
		return ready
	})
	return u
}

// A kept connection that the origin ended, or on which it spoke unasked, is not
// used again, and the agent sees nothing of that.
func TestProbeVariants(t *testing.T) {
	for name, end := range map[string]func(*tls.Conn){
		"close_notify": func(c *tls.Conn) { c.CloseWrite() },
		"FIN":          func(c *tls.Conn) { c.NetConn().(*net.TCPConn).CloseWrite() },
		"RST":          func(c *tls.Conn) { c.NetConn().(*net.TCPConn).SetLinger(0); c.NetConn().Close() },
		"surplus":      func(c *tls.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") },
		"kept":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			w, read := newWorld(t, "routes: []", nil), make(chan bool)
			ln := w.raw("yes.test", func(c net.Conn) { answerThen(c.(*tls.Conn), read, end) })
			w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
			to := fmt.Sprintf("yes.test:%d", portOf(ln))
			c := w.tunnel(to)
			for range 3 {
				if _, b := c.send("GET / HTTP/1.1\r\nHost: "+to+"\r\n\r\n").wantStatus("GET", 200); b != "ok" {
					t.Errorf("%q", b)
				}
				read <- true
				if end != nil {
					w.idleConn()
				}
			}
			if n := ln.n.Load(); end == nil && n != 1 || end != nil && n != 3 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// answerThen answers requests; after each that was read it does end.
func answerThen(c *tls.Conn, read chan bool, end func(*tls.Conn)) {
	br := bufio.NewReader(c)
	for {
		if _, err := http1.ReadRequest(br, http1.Limits{}); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		<-read
		if end != nil {
			end(c)
		}
	}
}

// openssl is a TLS server that a person would type the answers into.
type openssl struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func startOpenssl(t *testing.T, cert *tls.Certificate) *openssl {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("crypto/tls sends no KeyUpdate, and there is no openssl to do so: ", err)
	}
	file := filepath.Join(t.TempDir(), "leaf.pem")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	both := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, c := range cert.Certificate {
		both = append(both, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	cmd := exec.CommandContext(ctx, "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-cert_chain", file, "-key", file, "-tls1_3", "-alpn", "http/1.1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	return &openssl{t, in, bufio.NewScanner(out)}
}

// line is the rest of the next line of output that begins with prefix.
func (o *openssl) line(prefix string) string {
	o.t.Helper()
	for o.out.Scan() {
		if rest, ok := strings.CutPrefix(o.out.Text(), prefix); ok {
			return rest
		}
	}
	o.t.Fatalf("openssl s_server: no line %q", prefix)
	return ""
}

// A KeyUpdate on an idle connection, with or without the wish for one back, is
// no content: the connection serves the next request.
func TestKeyUpdateIdle(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	cert, err := w.origins.Leaf("yes.test")
	if err != nil {
		t.Fatal(err)
	}
	o := startOpenssl(t, cert)
	to := "yes.test:" + strings.TrimPrefix(o.line("ACCEPT "), "127.0.0.1:")
	w.routes("routes: [{host: yes.test, ports: [%s]}]", strings.TrimPrefix(to, "yes.test:"))
	c := w.tunnel(to)
	var first *upConn
	for i, key := range []string{"K", "k", "K", "K", "k"} {
		c.send("GET / HTTP/1.1\r\nHost: " + to + "\r\nX-Last: y\r\n\r\n")
		o.line("X-Last")
		fmt.Fprintf(o.in, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%d\n", i)
		if _, b := c.wantStatus("GET", 200); b != fmt.Sprintln(i) {
			t.Fatalf("%d: %q", i, b)
		}
		io.WriteString(o.in, key+"\n")
		u := w.idleConn()
		if first == nil {
			first = u
		}
		if u != first {
			t.Fatalf("%d: another connection", i)
		}
	}
}
