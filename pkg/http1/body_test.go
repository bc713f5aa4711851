package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBody(t *testing.T) {
	tests := map[string]struct {
		length   int64
		in, want string
		trailer  Header
	}{
		"none":              {0, "", "", nil},
		"length":            {5, "hello", "hello", nil},
		"until close":       {-2, "hello", "hello", nil},
		"until close empty": {-2, "", "", nil},
		"no chunk":          {-1, "0\r\n\r\n", "", nil},
		"chunks":            {-1, "5\r\nhello\r\nb\r\n, my world!\r\n0\r\n\r\n", "hello, my world!", nil},
		"upper case hex":    {-1, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", nil},
		"leading zeros":     {-1, "0000000000000005\r\nhello\r\n0000\r\n\r\n", "hello", nil},
		"extensions":        {-1, "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n", "hello", nil},
		"CRLF is data too":  {-1, "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", nil},
		"trailer": {-1, "1\r\na\r\n0\r\ngrpc-status: 0\r\nGrpc-Message:  all is well \r\nX: a\r\nX: b\r\n\r\n", "a",
			Header{{"grpc-status", "0"}, {"Grpc-Message", "all is well"}, {"X", "a"}, {"X", "b"}}},
		"forbidden trailers": {-1, "0\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\nHOST: evil\r\nAuthorization: x\r\n" +
			"Proxy-Authorization: x\r\nSet-Cookie: x\r\nCookie: x\r\nContent-Type: x\r\nContent-Encoding: x\r\nContent_Length: 5\r\n" +
			"If-Match: x\r\nTrailer: x\r\nConnection: X\r\nExpect: x\r\nX: kept\r\n\r\n", "",
			Header{{"X", "kept"}}},
	}
	for name, tt := range tests {
		rest := "GET /next"
		if tt.length == -2 {
			rest = ""
		}
		for way, br := range readers(tt.in + rest) {
			b := NewBody(br, tt.length)
			got, err := io.ReadAll(b)
			if err != nil || string(got) != tt.want {
				t.Errorf("%s, %s: got %q, %v, want %q", name, way, got, err, tt.want)
			}
			if !b.Done() || !reflect.DeepEqual(b.Trailer(), tt.trailer) {
				t.Errorf("%s, %s: done %v, trailer %v, want %v", name, way, b.Done(), b.Trailer(), tt.trailer)
			}
			if left, _ := io.ReadAll(br); string(left) != rest {
				t.Errorf("%s, %s: left %q, want %q", name, way, left, rest)
			}
		}
	}
}

// badChunks is what no chunked body may hold.
var badChunks = map[string]string{
	"size empty":             "\r\nhello\r\n0\r\n\r\n",
	"size with plus":         "+5\r\nhello\r\n0\r\n\r\n",
	"size with minus":        "-5\r\nhello\r\n0\r\n\r\n",
	"size 0x5":               "0x5\r\nhello\r\n0\r\n\r\n",
	"size with underscore":   "0_5\r\nhello\r\n0\r\n\r\n",
	"size no hex":            "g\r\nhello\r\n0\r\n\r\n",
	"size too long":          "00000000000000005\r\nhello\r\n0\r\n\r\n",
	"size 2^63":              "8000000000000000\r\nhello\r\n0\r\n\r\n",
	"size 2^64-1":            "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
	"size behind space":      " 5\r\nhello\r\n0\r\n\r\n",
	"size before space":      "5 \r\nhello\r\n0\r\n\r\n",
	"size before tab":        "5\t\r\nhello\r\n0\r\n\r\n",
	"space before extension": "5 ;a\r\nhello\r\n0\r\n\r\n",
	"only extension":         ";a\r\nhello\r\n0\r\n\r\n",
	"size, bare LF":          "5\nhello\r\n0\r\n\r\n",
	"size, bare CR":          "5\rhello\r\n0\r\n\r\n",
	"size, CR CR LF":         "5\r\r\nhello\r\n0\r\n\r\n",
	"extension with bare LF": "5;a\nhello\r\n0\r\n\r\n",
	"extension with bare CR": "5;a\rb\r\nhello\r\n0\r\n\r\n",
	"extension with NUL":     "5;a\x00\r\nhello\r\n0\r\n\r\n",
	"extension too long":     "5;" + strings.Repeat("a", 2000) + "\r\nhello\r\n0\r\n\r\n",
	"data too long":          "5\r\nhello!\r\n0\r\n\r\n",
	"data too short":         "5\r\nhell\r\n0\r\n\r\n",
	"data, bare LF":          "5\r\nhello\n0\r\n\r\n",
	"data, LF CR":            "5\r\nhello\n\r0\r\n\r\n",
	"data, nothing":          "5\r\nhello0\r\n\r\n",
	"end, bare LF":           "0\r\n\n",
	"end, bare LFs":          "0\n\n",
	"trailer, bare LF":       "0\r\nX: a\n\r\n",
	"trailer folded":         "0\r\nX: a\r\n b\r\n\r\n",
	"trailer space colon":    "0\r\nX : a\r\n\r\n",
	"trailer no colon":       "0\r\nGET / HTTP/1.1\r\n\r\n",
	"trailer NUL":            "0\r\nX: \x00\r\n\r\n",
	"trailer too long":       "0\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n",
	"trailer section too long": "0\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1<<10)+"\r\n", 70) +
		"\r\n",
	"too many trailers":   "0\r\n" + strings.Repeat("X: a\r\n", 300) + "\r\n",
	"too many extensions": strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\na\r\n", 40) + "0\r\n\r\n",
}

func TestBodyRefuses(t *testing.T) {
	for name, in := range badChunks {
		for way, br := range readers(in) {
			b := NewBody(br, -1)
			_, err := io.ReadAll(b)
			var e *Error
			if !errors.As(err, &e) || b.Done() {
				t.Errorf("%s, %s: got %v, done %v, want an *Error", name, way, err, b.Done())
			}
			if _, again := b.Read(make([]byte, 1)); again != err {
				t.Errorf("%s, %s: then %v, want %v again", name, way, again, err)
			}
		}
	}
}

// TestBodyCut ends the stream at every byte.
func TestBodyCut(t *testing.T) {
	for _, tt := range []struct {
		length int64
		in     string
	}{
		{5, "hello"},
		{-1, "5\r\nhello\r\n0\r\nX: a\r\n\r\n"},
	} {
		for n := range tt.in {
			for way, br := range readers(tt.in[:n]) {
				b := NewBody(br, tt.length)
				_, err := io.ReadAll(b)
				if err != io.ErrUnexpectedEOF || b.Done() || b.Trailer() != nil {
					t.Errorf("%q, %s: got %v, done %v, want an unexpected end", tt.in[:n], way, err, b.Done())
				}
			}
		}
	}
}

// TestBodyStreams checks that no read waits for more than its own bytes: an
// event stream's last event must not hang in the middle.
func TestBodyStreams(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	sent := []string{"3\r\none\r\n", "3\r\ntwo", "\r\n5\r", "\nthree\r\n4;x\r\nfo", "ur\r\n0\r\n", "\r\n"}
	got := make(chan string)
	go func() {
		defer close(got)
		b, p := NewBody(bufio.NewReader(server), -1), make([]byte, 100)
		for {
			n, err := b.Read(p)
			got <- string(p[:n])
			if err != nil {
				return
			}
		}
	}()
	want := []string{"one", "two", "", "threefo", "ur", ""}
	for i, s := range sent {
		if _, err := io.WriteString(client, s); err != nil {
			t.Fatal(err)
		}
		if want[i] == "" && i < len(sent)-1 {
			continue // no content in this part
		}
		if g := <-got; g != want[i] {
			t.Errorf("after %q: got %q, want %q", s, g, want[i])
		}
	}
}

// TestBodyGathers checks that one read takes all chunks that are there.
func TestBodyGathers(t *testing.T) {
	br := bufio.NewReader(strings.NewReader("1\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"))
	p := make([]byte, 100)
	if n, err := NewBody(br, -1).Read(p); string(p[:n]) != "abc" || err != io.EOF {
		t.Errorf("got %q, %v, want abc, EOF", p[:n], err)
	}
}

// sizes notes how much each read asks for.
type sizes struct {
	r    io.Reader
	most int
}

func (s *sizes) Read(p []byte) (int, error) {
	s.most = max(s.most, len(p))
	return s.r.Read(p)
}

// TestBodyReadsDirectly checks that a large slice goes to the connection.
func TestBodyReadsDirectly(t *testing.T) {
	data := strings.Repeat("a", 1<<20)
	for length, in := range map[int64]string{1 << 20: data, -1: "100000\r\n" + data + "\r\n0\r\n\r\n", -2: data} {
		src := &sizes{r: strings.NewReader(in)}
		p := make([]byte, 1<<20)
		b := NewBody(bufio.NewReader(src), length)
		if n, err := io.ReadFull(b, p); n != len(p) || err != nil || src.most < 1<<19 {
			t.Errorf("length %d: read %d, %v, at most %d at once", length, n, err, src.most)
		}
	}
}

func TestBodyPassesErrors(t *testing.T) {
	for length, in := range map[int64]string{9: "abc", -1: "9\r\nabc", -2: "abc"} {
		br := bufio.NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(net.ErrClosed)))
		if _, err := io.ReadAll(NewBody(br, length)); err != net.ErrClosed {
			t.Errorf("length %d: got %v, want %v", length, err, net.ErrClosed)
		}
	}
}

func TestChunkedWriter(t *testing.T) {
	var out bytes.Buffer
	w := bufio.NewWriterSize(&out, 16)
	c := NewChunkedWriter(w)
	for _, s := range []string{"hello", "", strings.Repeat("x", 300)} {
		if n, err := io.WriteString(c, s); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
	}
	err := c.Close(Header{{"X", "a"}, {"Content-Length", "5"}, {"Y", "a\r\nZ: b"}, {"Grpc-Status", "0"}})
	if err != nil || w.Flush() != nil {
		t.Fatal(err)
	}
	want := "5\r\nhello\r\n12c\r\n" + strings.Repeat("x", 300) + "\r\n0\r\nX: a\r\nGrpc-Status: 0\r\n\r\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
