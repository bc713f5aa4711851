package http1

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	tests := map[string]struct {
		method, in string
		want       Response
	}{
		"plain": {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{{"Content-Length", "5"}}, ContentLength: 5}},
		"no reason": {"GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
			Response{Status: 200, Minor: 1, Header: Header{{"Content-Length", "0"}}}},
		"no reason nor space": {"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
			Response{Status: 200, Minor: 1, Header: Header{{"Content-Length", "0"}}}},
		"long reason, odd status": {"GET", "HTTP/1.1 799 Not  at\tall \xe9\r\nContent-Length: 0\r\n\r\n",
			Response{Status: 799, Reason: "Not  at\tall \xe9", Minor: 1, Header: Header{{"Content-Length", "0"}}}},
		"chunked": {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{{"Transfer-Encoding", "Chunked"}}, ContentLength: -1}},
		"until close": {"GET", "HTTP/1.1 200 OK\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{}, ContentLength: -2, Close: true}},
		"1.0": {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
			Response{Status: 200, Reason: "OK", Header: Header{{"Content-Length", "5"}, {"Connection", "keep-alive"}}, ContentLength: 5, Close: true}},
		"close": {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{{"Content-Length", "5"}, {"Connection", "close"}}, ContentLength: 5, Close: true}},
		"head with length": {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{{"Content-Length", "5"}}}},
		"head chunked": {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{{"Transfer-Encoding", "chunked"}}}},
		"head without length stays open": {"HEAD", "HTTP/1.1 200 OK\r\n\r\n",
			Response{Status: 200, Reason: "OK", Minor: 1, Header: Header{}}},
		"304 with length": {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
			Response{Status: 304, Reason: "Not Modified", Minor: 1, Header: Header{{"Content-Length", "5"}}}},
		"204 with length zero": {"DELETE", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
			Response{Status: 204, Reason: "No Content", Minor: 1, Header: Header{{"Content-Length", "0"}}}},
		"100": {"POST", "HTTP/1.1 100 Continue\r\n\r\n",
			Response{Status: 100, Reason: "Continue", Minor: 1, Header: Header{}}},
		"103": {"GET", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
			Response{Status: 103, Reason: "Early Hints", Minor: 1, Header: Header{{"Link", "</a>"}}}},
		"101": {"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
			Response{Status: 101, Reason: "Switching Protocols", Minor: 1, Header: Header{{"Upgrade", "websocket"}}}},
		"tunnel": {"CONNECT", "HTTP/1.1 200 Connection established\r\nTransfer-Encoding: chunked\r\n\r\n",
			Response{Status: 200, Reason: "Connection established", Minor: 1, Header: Header{{"Transfer-Encoding", "chunked"}}}},
		"tunnel on 1.0": {"CONNECT", "HTTP/1.0 200 Connection established\r\n\r\n",
			Response{Status: 200, Reason: "Connection established", Header: Header{}, Close: true}},
		"refused tunnel": {"CONNECT", "HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\n",
			Response{Status: 403, Reason: "Forbidden", Minor: 1, Header: Header{{"Content-Length", "7"}}, ContentLength: 7}},
	}
	for name, tt := range tests {
		for way, br := range readers(tt.in + "rest") {
			got, err := ReadResponse(br, tt.method, Limits{})
			if err != nil {
				t.Errorf("%s, %s: %v", name, way, err)
				continue
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("%s, %s:\n got %+v\nwant %+v", name, way, *got, tt.want)
			}
			if rest, _ := io.ReadAll(br); string(rest) != "rest" {
				t.Errorf("%s, %s: left %q", name, way, rest)
			}
		}
	}
}

func TestReadResponseRefuses(t *testing.T) {
	ok := func(lines string) string { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n" }
	tests := map[string]string{
		"length with coding":   ok("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
		"two equal lengths":    ok("Content-Length: 3\r\nContent-Length: 3\r\n"),
		"length a list":        ok("Content-Length: 3, 3\r\n"),
		"length with plus":     ok("Content-Length: +3\r\n"),
		"length 2^64":          ok("Content-Length: 18446744073709551616\r\n"),
		"coding identity":      ok("Transfer-Encoding: identity\r\n"),
		"coding gzip, chunked": ok("Transfer-Encoding: gzip, chunked\r\n"),
		"coding space colon":   ok("Transfer-Encoding : chunked\r\n"),
		"coding on 1.0":        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"fold":                 ok("X: a\r\n b\r\n"),
		"bare LF":              "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"bare CR":              ok("X: a\rb\r\n"),
		"NUL":                  ok("X: a\x00b\r\n"),
		"no colon":             ok("abc\r\n"),
		"status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
		"status of four":       "HTTP/1.1 2000 OK\r\n\r\n",
		"status 099":           "HTTP/1.1 099 OK\r\n\r\n",
		"status signed":        "HTTP/1.1 +20 OK\r\n\r\n",
		"status missing":       "HTTP/1.1\r\n\r\n",
		"two spaces":           "HTTP/1.1  200 OK\r\n\r\n",
		"reason with escape":   "HTTP/1.1 200 \x1b[2J\r\n\r\n",
		"version 2":            "HTTP/2 200 OK\r\n\r\n",
		"version 1.2":          "HTTP/1.2 200 OK\r\n\r\n",
		"ICY":                  "ICY 200 OK\r\n\r\n",
		"SSH":                  "SSH-2.0-x\r\n",
		"empty line first":     "\r\nHTTP/1.1 200 OK\r\n\r\n",
		"204 with length":      "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
		"204 chunked":          "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"100 with length":      "HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n",
		"too long":             ok("X: " + strings.Repeat("a", 70<<10) + "\r\n"),
		"too many fields":      ok(strings.Repeat("X: a\r\n", 300)),
	}
	for name, in := range tests {
		for way, br := range readers(in) {
			got, err := ReadResponse(br, "GET", Limits{})
			var e *Error
			if !errors.As(err, &e) || e.Status != 502 {
				t.Errorf("%s, %s: got %+v, %v, want a 502", name, way, got, err)
			}
		}
	}
}

func TestReadResponseEnds(t *testing.T) {
	const in = "HTTP/1.1 200 OK\r\nX: a\r\n\r\n"
	for n := range in {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		for way, br := range readers(in[:n]) {
			if _, err := ReadResponse(br, "GET", Limits{}); err != want {
				t.Errorf("%d bytes, %s: got %v, want %v", n, way, err, want)
			}
		}
	}
}
