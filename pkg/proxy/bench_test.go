package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"testing"
)

// BenchmarkRelay is one keep-alive request of HTTP/1.1 through the proxy, TLS on
// both legs. The agent and the origin are in the process too and allocate
// nothing.
func BenchmarkRelay(b *testing.B) {
	w := newWorld(b, "routes: []", nil)
	ln := w.raw("yes.test", answerAll)
	w.routes("routes: [{host: yes.test, ports: [%d], path_allowlist: [/], auth_scheme: Bearer, token_env: TOKEN}]", portOf(ln))
	to := fmt.Sprintf("yes.test:%d", portOf(ln))
	c := w.tunnel(to)
	req := []byte("GET /some/path?q=1 HTTP/1.1\r\nHost: " + to + "\r\nUser-Agent: bench/1\r\nAccept: */*\r\nContent-Type: application/json\r\nAuthorization: Bearer placeholder\r\n\r\n")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(req); err != nil {
			b.Fatal(err)
		}
		if n, err := c.br.Read(buf); err != nil || !bytes.HasSuffix(buf[:n], []byte("hello world")) {
			b.Fatalf("%q %v", buf[:n], err)
		}
	}
}

var plainAnswer = []byte("HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\nhello world")

// answerAll answers each head that comes.
func answerAll(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := c.Write(plainAnswer); err != nil {
			return
		}
	}
}
