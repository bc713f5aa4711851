package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// readers gives the same bytes whole and byte by byte through a small buffer,
// since a head takes another way when it is not all there.
func readers(s string) map[string]*bufio.Reader {
	return map[string]*bufio.Reader{
		"whole": bufio.NewReaderSize(strings.NewReader(s), 128<<10),
		"drops": bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(s)), 16),
	}
}

func TestReadRequest(t *testing.T) {
	tests := map[string]struct {
		in   string
		want Request
	}{
		"plain": {
			"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n\r\n",
			Request{Method: "GET", Target: "/a?b=c", Minor: 1, Header: Header{{"Host", "example.com"}}},
		},
		"length": {
			"POST / HTTP/1.1\r\nhost:a\r\ncontent-length: 12\r\n\r\n",
			Request{Method: "POST", Target: "/", Minor: 1, Header: Header{{"host", "a"}, {"content-length", "12"}}, ContentLength: 12},
		},
		"length zero": {
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			Request{Method: "POST", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"Content-Length", "0"}}},
		},
		"largest length": {
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n",
			Request{Method: "POST", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"Content-Length", "9223372036854775807"}}, ContentLength: 1<<63 - 1},
		},
		"chunked in any case": {
			"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChunKed\r\n\r\n",
			Request{Method: "PUT", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"Transfer-Encoding", "ChunKed"}}, ContentLength: -1},
		},
		"white space around values": {
			"GET / HTTP/1.1\r\nHost: \t a \t\r\nX:\r\nY: \r\nZ: a\t b\r\n\r\n",
			Request{Method: "GET", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"X", ""}, {"Y", ""}, {"Z", "a\t b"}}},
		},
		"opaque bytes in a value": {
			"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80\xc3\xa9\r\n\r\n",
			Request{Method: "GET", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"X", "\xff\x80\xc3\xa9"}}},
		},
		"close": {
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: te, CLOSE\r\n\r\n",
			Request{Method: "GET", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"Connection", "te, CLOSE"}}, Close: true},
		},
		"1.0 without host, keep-alive not honoured": {
			"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			Request{Method: "GET", Target: "/", Header: Header{{"Connection", "keep-alive"}}, Close: true},
		},
		"expect": {
			"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
			Request{Method: "POST", Target: "/", Minor: 1, Header: Header{{"Host", "a"}, {"Expect", "100-Continue"}, {"Content-Length", "1"}}, ContentLength: 1, Expect: true},
		},
		"expect without content means nothing": {
			"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
			Request{Method: "GET", Target: "/", Minor: 1, Header: Header{{"Host", "a"}}},
		},
		"expect on 1.0 means nothing": {
			"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
			Request{Method: "POST", Target: "/", Header: Header{{"Content-Length", "1"}}, ContentLength: 1, Close: true},
		},
		"connect": {
			"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 0\r\n\r\n",
			Request{Method: "CONNECT", Target: "a:443", Minor: 1, Header: Header{{"Host", "a:443"}, {"Content-Length", "0"}}},
		},
		"unusual method and target": {
			"M-SEARCH!~ http://a/%zz\"<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n",
			Request{Method: "M-SEARCH!~", Target: "http://a/%zz\"<>\\^`{|}", Minor: 1, Header: Header{{"Host", "a"}}},
		},
		"long head": {
			"GET /" + strings.Repeat("u", 7<<10) + " HTTP/1.1\r\nHost: a\r\nCookie: " + strings.Repeat("c", 16<<10) + "\r\n\r\n",
			Request{Method: "GET", Target: "/" + strings.Repeat("u", 7<<10), Minor: 1, Header: Header{{"Host", "a"}, {"Cookie", strings.Repeat("c", 16<<10)}}},
		},
	}
	for name, tt := range tests {
		for way, br := range readers(tt.in + "GET /next") {
			got, err := ReadRequest(br, Limits{})
			if err != nil {
				t.Errorf("%s, %s: %v", name, way, err)
				continue
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("%s, %s:\n got %+v\nwant %+v", name, way, *got, tt.want)
			}
			if rest, _ := io.ReadAll(br); string(rest) != "GET /next" {
				t.Errorf("%s, %s: left %q, want the next request", name, way, rest)
			}
		}
	}
}

// get is a request with these lines between its Host and its end.
func get(lines string) string { return "POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n" }

// badHeads is every smuggling case of SECURITY §3, and what else is refused.
var badHeads = map[string]struct {
	in     string
	status int
}{
	"length with coding":        {get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400},
	"coding with length":        {get("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400},
	"coding with length zero":   {get("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400},
	"two lengths":               {get("Content-Length: 3\r\nContent-Length: 4\r\n"), 400},
	"two equal lengths":         {get("Content-Length: 3\r\ncontent-length: 3\r\n"), 400},
	"two zero lengths":          {get("Content-Length: 0\r\nContent-Length: 0\r\n"), 400},
	"length a list":             {get("Content-Length: 3, 3\r\n"), 400},
	"length empty":              {get("Content-Length:\r\n"), 400},
	"length with plus":          {get("Content-Length: +3\r\n"), 400},
	"length with minus":         {get("Content-Length: -3\r\n"), 400},
	"length minus zero":         {get("Content-Length: -0\r\n"), 400},
	"length with inner space":   {get("Content-Length: 3 3\r\n"), 400},
	"length hexadecimal":        {get("Content-Length: 0x3\r\n"), 400},
	"length with leading zero":  {get("Content-Length: 03\r\n"), 400},
	"length a fraction":         {get("Content-Length: 3.0\r\n"), 400},
	"length with underscores":   {get("Content-Length: 1_0\r\n"), 400},
	"length 2^63":               {get("Content-Length: 9223372036854775808\r\n"), 400},
	"length 2^64+3":             {get("Content-Length: 18446744073709551619\r\n"), 400},
	"length very long":          {get("Content-Length: " + strings.Repeat("9", 400) + "\r\n"), 400},
	"length in other digits":    {get("Content-Length: \u0663\r\n"), 400},
	"length named with _":       {get("Content_Length: 3\r\n"), 400},
	"coding named with _":       {get("Transfer_Encoding: chunked\r\n"), 400},
	"coding twice":              {get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
	"coding listed twice":       {get("Transfer-Encoding: chunked, chunked\r\n"), 400},
	"coding gzip, chunked":      {get("Transfer-Encoding: gzip, chunked\r\n"), 400},
	"coding chunked, identity":  {get("Transfer-Encoding: chunked, identity\r\n"), 400},
	"coding identity":           {get("Transfer-Encoding: identity\r\n"), 501},
	"coding xchunked":           {get("Transfer-Encoding: xchunked\r\n"), 501},
	"coding quoted":             {get("Transfer-Encoding: \"chunked\"\r\n"), 400},
	"coding with parameter":     {get("Transfer-Encoding: chunked;q=1\r\n"), 400},
	"coding with comma":         {get("Transfer-Encoding: chunked,\r\n"), 400},
	"coding empty":              {get("Transfer-Encoding:\r\n"), 400},
	"coding with vertical tab":  {get("Transfer-Encoding: \vchunked\r\n"), 400},
	"coding with form feed":     {get("Transfer-Encoding: chunked\f\r\n"), 400},
	"coding with nbsp":          {get("Transfer-Encoding: chunked\xa0\r\n"), 400},
	"coding with kelvin sign":   {get("Transfer-Encoding: chun\u212aed\r\n"), 400},
	"coding space colon":        {get("Transfer-Encoding : chunked\r\n"), 400},
	"coding tab colon":          {get("Transfer-Encoding\t: chunked\r\n"), 400},
	"coding folded":             {get("Transfer-Encoding:\r\n chunked\r\n"), 400},
	"coding behind space":       {get(" Transfer-Encoding: chunked\r\n"), 400},
	"coding behind bare CR":     {get("X: y\rTransfer-Encoding: chunked\r\n"), 400},
	"coding behind bare LF":     {get("X: y\nTransfer-Encoding: chunked\r\n"), 400},
	"coding behind NUL":         {get("X: y\x00Transfer-Encoding: chunked\r\n"), 400},
	"coding on 1.0":             {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"fold":                      {get("X: a\r\n b\r\n"), 400},
	"fold with tab":             {get("X: a\r\n\tb\r\n"), 400},
	"first line folded":         {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
	"CR CR LF":                  {get("X: a\r\r\n"), 400},
	"name empty":                {get(": a\r\n"), 400},
	"name with space":           {get("X Y: a\r\n"), 400},
	"name with NUL":             {get("X\x00: a\r\n"), 400},
	"name with umlaut":          {get("X\xe4: a\r\n"), 400},
	"name with parenthesis":     {get("X(: a\r\n"), 400},
	"no colon":                  {get("abc\r\n"), 400},
	"value with NUL":            {get("X: a\x00b\r\n"), 400},
	"value with DEL":            {get("X: a\x7fb\r\n"), 400},
	"value with escape":         {get("X: a\x1bb\r\n"), 400},
	"bare LF ends all":          {"GET / HTTP/1.1\nHost: a\n\n", 400},
	"bare LF ends the head":     {"GET / HTTP/1.1\r\nHost: a\r\n\nGET / HTTP/1.1\r\n\r\n", 400},
	"bare LF after the line":    {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	"bare CR after the line":    {"GET / HTTP/1.1\rHost: a\r\n\r\n", 400},
	"two hosts":                 {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	"two equal hosts":           {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
	"two hosts on 1.0":          {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	"no host":                   {"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400},
	"no fields":                 {"GET / HTTP/1.1\r\n\r\n", 400},
	"empty line first":          {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"bare LF first":             {"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"space first":               {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"space last":                {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	"two spaces":                {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"two spaces later":          {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"tab for space":             {"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"space in the target":       {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"target empty":              {"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"target with umlaut":        {"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"target with NUL":           {"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"target with DEL":           {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"target with tab":           {"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"method with slash":         {"G/T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"method with umlaut":        {"G\xc4T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	"method alone":              {"GET\r\nHost: a\r\n\r\n", 400},
	"0.9":                       {"GET /\r\n\r\n", 505},
	"0.9 in words":              {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	"1.2":                       {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
	"2.0":                       {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	"the preface of HTTP/2":     {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	"version 1":                 {"GET / HTTP/1\r\nHost: a\r\n\r\n", 505},
	"version 01.1":              {"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 505},
	"version in lower case":     {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	"version of another kind":   {"GET / ICAP/1.0\r\nHost: a\r\n\r\n", 400},
	"expectation unknown":       {get("Expect: miracles\r\n"), 417},
	"expectation twice":         {get("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417},
	"expectation with a prefix": {get("Expect: y 100-continue\r\n"), 417},
	"connect with length":       {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\n", 400},
	"connect chunked":           {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"too many options":          {get("Connection: " + strings.Repeat("a,", 100) + "\r\n"), 400},
	"line too long":             {"GET /" + strings.Repeat("a", 70<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
	"head too long":             {get("X: " + strings.Repeat("a", 70<<10) + "\r\n"), 431},
	"too many fields":           {get(strings.Repeat("X: a\r\n", 300)), 431},
	"TLS":                       {"\x16\x03\x01\x02\x00", 400},
	"SSH":                       {"SSH-2.0-OpenSSH_9.9\r\n", 400},
	"one line of nothing":       {"HELLO\r\n", 400},
}

func TestReadRequestRefuses(t *testing.T) {
	for name, tt := range badHeads {
		for way, br := range readers(tt.in) {
			got, err := ReadRequest(br, Limits{})
			var e *Error
			if !errors.As(err, &e) {
				t.Errorf("%s, %s: got %+v, %v, want an *Error", name, way, got, err)
				continue
			}
			if e.Status != tt.status {
				t.Errorf("%s, %s: got %d (%s), want %d", name, way, e.Status, e.Msg, tt.status)
			}
		}
	}
}

func TestReadRequestLimits(t *testing.T) {
	const in = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
	for _, tt := range []struct {
		lim    Limits
		status int // 0: accepted
	}{
		{Limits{HeadBytes: len(in), Fields: 2}, 0},
		{Limits{HeadBytes: len(in) - 1}, 431},
		{Limits{HeadBytes: 10}, 414},
		{Limits{Fields: 1}, 431},
	} {
		for way, br := range readers(in) {
			_, err := ReadRequest(br, tt.lim)
			status := 0
			if e, ok := err.(*Error); ok {
				status = e.Status
			}
			if status != tt.status {
				t.Errorf("%+v, %s: got %v, want status %d", tt.lim, way, err, tt.status)
			}
		}
	}
}

// TestReadRequestEnds cuts a request at every byte.
func TestReadRequestEnds(t *testing.T) {
	const in = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for n := range in {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		for way, br := range readers(in[:n]) {
			if _, err := ReadRequest(br, Limits{}); err != want {
				t.Errorf("%d bytes, %s: got %v, want %v", n, way, err, want)
			}
		}
	}
}

func TestReadRequestTimesOut(t *testing.T) {
	for _, sent := range []string{"", "G", "GET / HTTP/1.1\r\nHo"} {
		client, server := net.Pipe()
		server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		go io.WriteString(client, sent)
		_, err := ReadRequest(bufio.NewReader(server), Limits{})
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q: got %v, want a time-out", sent, err)
		}
		client.Close()
		server.Close()
	}
}

// TestReadRequestAnswersAtOnce checks that a peer that waits after its first
// line is refused without its head's end.
func TestReadRequestAnswersAtOnce(t *testing.T) {
	for _, sent := range []string{"\x16\x03\x01", "SSH-2.0-x\r\n", "GET /\r\n", "GET / HTTP/1.1\n", "\r"} {
		client, server := net.Pipe()
		go io.WriteString(client, sent)
		_, err := ReadRequest(bufio.NewReader(server), Limits{})
		if _, ok := err.(*Error); !ok {
			t.Errorf("after %q: got %v, want an *Error", sent, err)
		}
		client.Close()
		server.Close()
	}
}

// TestErrorsAreQuiet checks that no message repeats what a peer sent but the
// name of a field.
func TestErrorsAreQuiet(t *testing.T) {
	for name, tt := range badHeads {
		in := strings.NewReplacer("/ ", "/secret ", "a\r", "secret\r", "3\r", "3secret\r", "chunked", "secret").Replace(tt.in)
		_, err := ReadRequest(bufio.NewReader(strings.NewReader(in)), Limits{})
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: message %q", name, err)
		}
	}
}
