package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The targets here compare with net/http, another parser of the same bytes:
// what this package accepts the other must read alike. That it accepts less is
// the point of it.

func FuzzReadRequest(f *testing.F) {
	for _, tt := range badHeads {
		if len(tt.in) < 1000 {
			f.Add([]byte(tt.in))
		}
	}
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /"))
	f.Add([]byte("POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\nx: z\r\n\r\n1;e\r\na\r\n0\r\nT: u\r\n\r\nGET"))
	f.Add([]byte("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := bufio.NewReader(bytes.NewReader(data))
		req, err := ReadRequest(ours, Limits{})
		if err != nil {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(data))
		other, err := http.ReadRequest(theirs)
		if err != nil {
			if !mayRefuse(req, err) {
				t.Fatalf("net/http refuses: %v", err)
			}
			return
		}
		if req.Method != other.Method || req.Target != other.RequestURI || req.Minor != other.ProtoMinor {
			t.Fatalf("start lines differ: %+v and %+v", req, other)
		}
		sameHost(t, req, other)
		sameFields(t, req.Header, other.Header, "Host", "Transfer-Encoding", "Trailer", "Cache-Control", "Expect")
		if !sameLength(req.ContentLength, other.ContentLength) {
			t.Fatalf("lengths differ: %d and %d", req.ContentLength, other.ContentLength)
		}
		body := NewBody(ours, req.ContentLength)
		sameBody(t, body, other.Body, &other.Trailer)
		sameRest(t, body, ours, theirs)
	})
}

// mayRefuse reports the errors that net/http has beyond framing: it parses the
// target as a URL, and the announcement of trailers.
func mayRefuse(req *Request, err error) bool {
	var u *url.Error
	return errors.As(err, &u) || strings.Contains(err.Error(), "bad trailer key") ||
		strings.Contains(err.Error(), "invalid URI") || strings.Contains(err.Error(), "invalid method")
}

func sameHost(t *testing.T, req *Request, other *http.Request) {
	want := req.Header.Get("Host")
	if other.URL.Host != "" {
		want = other.URL.Host // the target's; that both agree is the proxy's to see
	}
	if other.Host != want {
		t.Fatalf("hosts differ: %q and %q", want, other.Host)
	}
}

func sameFields(t *testing.T, ours Header, theirs http.Header, except ...string) {
	ours = ours.Del(except...)
	for _, name := range except {
		theirs.Del(name)
	}
	for name, values := range theirs {
		if !slices.Equal(ours.Values(name), values) {
			t.Fatalf("field %q differs: %q and %q", name, ours.Values(name), values)
		}
		ours = ours.Del(name)
	}
	if len(ours) > 0 {
		t.Fatalf("net/http does not have %q", ours)
	}
}

// sameLength compares a length of ours with one of net/http, for which -1 is
// unknown in whatever way.
func sameLength(ours, theirs int64) bool { return max(ours, -1) == theirs }

func sameBody(t *testing.T, ours *Body, theirs io.Reader, theirTrailer *http.Header) {
	got, err := io.ReadAll(ours)
	want, otherErr := io.ReadAll(theirs)
	if err != nil {
		// What was handed out before the error must agree all the same.
		if !bytes.HasPrefix(want, got) && !bytes.HasPrefix(got, want) {
			t.Fatalf("contents differ before %v: %q and %q", err, got, want)
		}
		return
	}
	if otherErr != nil {
		t.Fatalf("net/http refuses the content: %v", otherErr)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("contents differ: %q and %q", got, want)
	}
	for _, f := range ours.Trailer() {
		if !slices.Contains((*theirTrailer)[textproto.CanonicalMIMEHeaderKey(f.Name)], f.Value) {
			t.Fatalf("trailer %q is not in %q", f, *theirTrailer)
		}
	}
}

// sameRest checks that both stand at the same byte after the message.
func sameRest(t *testing.T, body *Body, ours, theirs *bufio.Reader) {
	if !body.Done() {
		return
	}
	a, _ := io.ReadAll(ours)
	b, _ := io.ReadAll(theirs)
	if !bytes.Equal(a, b) {
		t.Fatalf("ends differ: %q and %q are left", a, b)
	}
}

func FuzzReadResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 200\r\nConnection: close\r\n\r\nabc",
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		for i := range methods {
			f.Add(uint8(i), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, m uint8, data []byte) {
		method := methods[int(m)%len(methods)]
		ours := bufio.NewReader(bytes.NewReader(data))
		resp, err := ReadResponse(ours, method, Limits{})
		if err != nil {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(data))
		other, err := http.ReadResponse(theirs, &http.Request{Method: method})
		if err != nil {
			if !strings.Contains(err.Error(), "bad trailer key") {
				t.Fatalf("net/http refuses: %v", err)
			}
			return
		}
		if resp.Status != other.StatusCode || resp.Minor != other.ProtoMinor {
			t.Fatalf("status lines differ: %+v and %+v", resp, other)
		}
		sameFields(t, resp.Header, other.Header, "Transfer-Encoding", "Trailer", "Cache-Control", "Connection")
		if method == "CONNECT" {
			return // net/http leaves a tunnel to its Transport
		}
		body := NewBody(ours, resp.ContentLength)
		sameBody(t, body, other.Body, &other.Trailer)
		sameRest(t, body, ours, theirs)
	})
}

var methods = []string{"GET", "HEAD", "POST", "CONNECT"}

func FuzzChunked(f *testing.F) {
	for _, s := range badChunks {
		if len(s) < 1000 {
			f.Add([]byte(s), uint8(0))
		}
	}
	for _, s := range []string{
		"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nrest", "5;a=b\r\nhello\r\n0;c\r\nX: y\r\n\r\n", "a\r\n0123456789\r\n00\r\n\r\n",
		"5\nhello\n0\n\n", " 5 \r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "10\r\n0123456789\r\n0\r\n\r\n", "1\r\na\r\n1\r\nb\r\n0\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		theirs := bufio.NewReader(strings.NewReader(head + string(data)))
		other, err := http.ReadRequest(theirs)
		if err != nil {
			t.Fatal(err)
		}
		ours := bufio.NewReader(bytes.NewReader(data))
		body := NewBody(ours, -1)
		small, err := readBy(NewBody(bufio.NewReaderSize(bytes.NewReader(data), 16), -1), int(step)%7+1)
		sameBody(t, body, other.Body, &other.Trailer)
		sameRest(t, body, ours, theirs)
		if (err == nil) != body.Done() {
			t.Fatalf("read by steps of %d: %q, %v, and whole: %v", step, small, err, body.Done())
		}
		rewritten(t, data)
	})
}

// readBy reads all of r in slices of n bytes.
func readBy(r io.Reader, n int) (all []byte, err error) {
	p := make([]byte, n)
	for {
		n, err := r.Read(p)
		all = append(all, p[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// rewritten checks that what is read and written again is read the same.
func rewritten(t *testing.T, data []byte) {
	in := NewBody(bufio.NewReader(bytes.NewReader(data)), -1)
	content, err := io.ReadAll(in)
	if err != nil {
		return
	}
	var wire bytes.Buffer
	w := bufio.NewWriter(&wire)
	c := NewChunkedWriter(w)
	c.Write(content)
	c.Close(in.Trailer())
	w.Flush()
	again := NewBody(bufio.NewReader(&wire), -1)
	got, err := io.ReadAll(again)
	if err != nil || !bytes.Equal(got, content) || !slices.Equal(again.Trailer(), in.Trailer()) {
		t.Fatalf("read again: %q, %v, %q, want %q, %q", got, err, again.Trailer(), content, in.Trailer())
	}
}

func FuzzHopByHop(f *testing.F) {
	f.Add("close", "Authorization", "Host, x", "TE")
	f.Add("Content-Length,,\t X-Api-Key ", "content-length", "", "x-api-key")
	f.Add("connection", "keep-alive", "upgrade", "Upgrade")
	f.Fuzz(func(t *testing.T, first, a, second, b string) {
		h := Header{{"Connection", first}, {a, "1"}, {"connection", second}, {b, "2"}, {"A", "3"}, {"Transfer-Encoding", "chunked"}}
		got := h.StripHopByHop()
		want := h.Del("Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Transfer-Encoding", "Upgrade")
		for _, list := range []string{first, second} {
			for _, name := range strings.Split(list, ",") {
				name = strings.Trim(name, " \t")
				if name = asciiLower(name); name != "" && name != "close" {
					want = want.Del(name)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if again := got.StripHopByHop(); !slices.Equal(again, got) {
			t.Fatalf("stripped twice: %q, once: %q", again, got)
		}
	})
}

func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}
