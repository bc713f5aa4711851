package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

const benchRequest = "POST /repos/me/project/issues?state=open HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/8.5.0\r\n" +
	"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nAuthorization: Bearer placeholder\r\nContent-Type: application/json\r\n" +
	"X-Request-Id: 0123456789abcdef\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"

func BenchmarkReadRequest(b *testing.B) {
	benchmarkRequests(b, func(br *bufio.Reader) error {
		req, err := ReadRequest(br, Limits{})
		if err == nil {
			_, err = io.Copy(io.Discard, NewBody(br, req.ContentLength))
		}
		return err
	})
}

// BenchmarkNetHTTP is the yardstick of BenchmarkReadRequest.
func BenchmarkNetHTTP(b *testing.B) {
	benchmarkRequests(b, func(br *bufio.Reader) error {
		req, err := http.ReadRequest(br)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		return err
	})
}

func benchmarkRequests(b *testing.B, read func(*bufio.Reader) error) {
	src := strings.NewReader(benchRequest)
	br := bufio.NewReader(src)
	b.ReportAllocs()
	b.SetBytes(int64(len(benchRequest)))
	for b.Loop() {
		src.Reset(benchRequest)
		br.Reset(src)
		if err := read(br); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadResponse(b *testing.B) {
	const in = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" +
		"Cache-Control: no-store\r\nETag: \"abc\"\r\nVary: Accept\r\nServer: x\r\n\r\n{}"
	src := strings.NewReader(in)
	br := bufio.NewReader(src)
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(in)
		br.Reset(src)
		if _, err := ReadResponse(br, "GET", Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForwardHead(b *testing.B) {
	req, err := ReadRequest(bufio.NewReader(strings.NewReader(benchRequest)), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		h := req.Header.StripHopByHop().Set("Authorization", "Bearer real")
		out = AppendRequest(out[:0], req.Method, req.Target, h)
	}
}

func BenchmarkChunked(b *testing.B) {
	chunk := "4000\r\n" + strings.Repeat("a", 0x4000) + "\r\n"
	wire := strings.Repeat(chunk, 64) + "0\r\n\r\n"
	src := strings.NewReader(wire)
	br := bufio.NewReader(src)
	p := make([]byte, 32<<10)
	w := bufio.NewWriter(io.Discard)
	b.ReportAllocs()
	b.SetBytes(64 * 0x4000)
	for b.Loop() {
		src.Reset(wire)
		br.Reset(src)
		c := NewChunkedWriter(w)
		if _, err := io.CopyBuffer(struct{ io.Writer }{c}, NewBody(br, -1), p); err != nil {
			b.Fatal(err)
		}
		if err := c.Close(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLongHead(b *testing.B) {
	in := []byte("GET / HTTP/1.1\r\nHost: a\r\nCookie: " + strings.Repeat("c", 16<<10) + "\r\n\r\n")
	src := bytes.NewReader(in)
	br := bufio.NewReader(src)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		src.Reset(in)
		br.Reset(src)
		if _, err := ReadRequest(br, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
