package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"bottle/pkg/http1"
)

const handshake = "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// echo answers 101 and sends everything back.
func echo(c net.Conn) {
	br := bufio.NewReader(c)
	req, err := http1.ReadRequest(br, http1.Limits{})
	if err != nil {
		return
	}
	if req.Header.Get("Upgrade") != "websocket" {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
	io.Copy(c, br)
}

func TestWebSocket(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	ln := w.raw("yes.test", echo)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	c := w.tunnel(to).send(fmt.Sprintf(handshake, to, "websocket"))
	r, err := http1.ReadResponse(c.br, "GET", http1.Limits{})
	if err != nil || r.Status != 101 {
		t.Fatalf("%+v %v", r, err)
	}
	b := make([]byte, 5)
	if io.ReadFull(c.br, b); string(b) != "first" {
		t.Fatalf("%q", b)
	}
	msg := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	go c.Write(msg)
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c.br, got); err != nil || !bytes.Equal(got, msg) {
		t.Fatal("5 MiB did not come back", err)
	}
	w.p.SetTable(table(t, "routes: []"))
	c.wantEnd()
	// No other upgrade, and no switch that was not asked for.
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	if _, b := w.tunnel(to).send(fmt.Sprintf(handshake, to, "h2c")).wantStatus("GET", 200); b != "plain" {
		t.Errorf("%q", b)
	}
	w.routes("routes: [{host: yes.test, ports: [%d], path_allowlist: [/x]}]", portOf(ln))
	w.tunnel(to).send(fmt.Sprintf(handshake, to, "websocket")).wantStatus("GET", 403)
}

// HTTP/1.0 has no upgrade (RFC 9110 §7.8): the request goes on as a plain one.
func TestWebSocket10(t *testing.T) {
	w := newWorld(t, "routes: []", nil)
	ln := w.raw("yes.test", echo)
	w.routes("routes: [{host: yes.test, ports: [%d]}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	old := strings.Replace(fmt.Sprintf(handshake, to, "websocket"), "HTTP/1.1", "HTTP/1.0", 1)
	if _, b := w.tunnel(to).send(old).wantStatus("GET", 200); b != "plain" {
		t.Errorf("%q", b)
	}
}
