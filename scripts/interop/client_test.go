package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// asVersions runs the test for each pair of versions that the agent and the
// origin may speak, and without a proxy, which shows that the test can pass.
func asVersions(t *testing.T, test func(t *testing.T, c *http.Client, o *origin)) {
	for _, proto := range []string{"http/1.1", "h2"} {
		t.Run("direct "+proto, func(t *testing.T) {
			o := serveOrigin(t, pages(), proto)
			test(t, o.client(t, proto == "h2"), o)
		})
	}
	for _, agent := range []string{"1", "2"} {
		for _, protos := range [][]string{{"http/1.1"}, {"h2"}, {"h2", "http/1.1"}} {
			if agent == "1" && protos[0] == "h2" && len(protos) == 1 {
				// Go's server lets a client of HTTP/1.1 through the handshake
				// there and then closes: without a proxy it gets no answer
				// either. An alert is another matter; pkg/proxy tests it.
				continue
			}
			name := "agent " + agent + " origin " + strings.Join(protos, ",")
			t.Run(name, func(t *testing.T) {
				o := serveOrigin(t, pages(), protos...)
				test(t, o.proxy(t).client(t, agent == "2"), o)
			})
		}
	}
}

// pages is what the origin has.
func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/proto", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/head", func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"User-Agent", "Accept-Encoding", "X-Forwarded-For", "Via", "Forwarded", "Cookie"} {
			fmt.Fprintf(w, "%s=%d ", name, len(r.Header.Get(name)))
		}
		fmt.Fprintf(w, "uri=%d", len(r.RequestURI))
	})
	mux.HandleFunc("/answer", answer)
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half of ")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Del("Link")
		io.WriteString(w, "late")
	})
	mux.HandleFunc("/whole", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %v", b, err)
	})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(413) })
	return mux
}

// echo sends back the content as it comes, and the request's trailer.
func echo(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	rc.EnableFullDuplex()
	w.Header().Set("Trailer", "X-Sum")
	rc.Flush()
	b := make([]byte, 32<<10)
	for {
		n, err := r.Body.Read(b)
		w.Write(b[:n])
		rc.Flush()
		if err != nil {
			break
		}
	}
	w.Header().Set("X-Sum", "got:"+r.Trailer.Get("X-Sum"))
}

// answer has the status of the query, and a head with repeated fields.
func answer(w http.ResponseWriter, r *http.Request) {
	var status int
	fmt.Sscan(r.URL.Query().Get("status"), &status)
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("Content-Encoding", "gzip") // a lie, which is nobody's business
	w.WriteHeader(status)
	if status != 204 && status != 304 {
		io.WriteString(w, "not gzip")
	}
}

func fetch(c *http.Client, req *http.Request) (*http.Response, string, error) {
	r, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r, string(b), err
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestVersions: each leg speaks the highest version that ALPN gives it. An
// agent of HTTP/1.1 leaves the choice for the other leg to the proxy.
func TestVersions(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		r, body, err := fetch(c, request(t, "GET", o.url("/proto"), nil))
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%v %q %v", r, body, err)
		}
		agent2, name := strings.Contains(t.Name(), "agent_2") || strings.HasSuffix(t.Name(), "direct_h2"), t.Name()
		if want := map[bool]int{false: 1, true: 2}[agent2]; r.ProtoMajor != want {
			t.Errorf("the agent's leg is %s", r.Proto)
		}
		switch {
		case strings.HasSuffix(name, "origin_http/1.1") && body != "HTTP/1.1",
			strings.HasSuffix(name, "origin_h2") && body != "HTTP/2.0",
			strings.HasSuffix(name, "origin_h2,http/1.1") && agent2 && body != "HTTP/2.0":
			t.Errorf("the origin's leg is %s", body)
		}
	})
}

// TestContent: what goes in comes out, with and without a length, trailers too.
func TestContent(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		content := bytes.Repeat([]byte("all of this comes back. "), 3<<20/24)
		for _, length := range []int64{int64(len(content)), -1} {
			req := request(t, "POST", o.url("/echo"), io.NopCloser(bytes.NewReader(content)))
			req.ContentLength = length
			if length < 0 {
				req.Trailer = http.Header{"X-Sum": {"a sum"}}
			}
			r, body, err := fetch(c, req)
			if err != nil || r.StatusCode != 200 || body != string(content) {
				t.Fatalf("length %d: %d bytes came back; %v", length, len(body), err)
			}
			if want := "got:" + req.Trailer.Get("X-Sum"); r.Trailer.Get("X-Sum") != want {
				t.Errorf("length %d: the trailer: %q; wanted %q", length, r.Trailer.Get("X-Sum"), want)
			}
		}
	})
}

// TestDuplex: each side waits for the other's piece.
func TestDuplex(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		pr, pw := io.Pipe()
		defer pw.Close()
		go io.WriteString(pw, "piece 00")
		r, err := c.Do(request(t, "POST", o.url("/echo"), pr))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b := make([]byte, 8)
		for i := range 50 {
			if i > 0 {
				fmt.Fprintf(pw, "piece %02d", i)
			}
			if _, err := io.ReadFull(r.Body, b); err != nil || string(b) != fmt.Sprintf("piece %02d", i) {
				t.Fatalf("piece %d: %q %v", i, b, err)
			}
		}
		pw.Close()
		if rest, err := io.ReadAll(r.Body); err != nil || len(rest) > 0 {
			t.Errorf("the end: %q %v", rest, err)
		}
	})
}

// TestHeads: odd methods and statuses, large fields and repeated ones arrive,
// and none is invented.
func TestHeads(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, status := range []int{200, 204, 206, 299, 304, 307, 404, 418, 429, 500, 599} {
			for _, method := range []string{"GET", "HEAD", "PROPFIND", "DELETE"} {
				r, body, err := fetch(c, request(t, method, o.url(fmt.Sprintf("/answer?status=%d", status)), nil))
				if err != nil || r.StatusCode != status {
					t.Fatalf("%s %d: %v %v", method, status, r, err)
				}
				empty := method == "HEAD" || status == 204 || status == 304
				if r.Header.Get("X-Method") != method || empty != (body == "") || !slices.Equal(r.Header["Set-Cookie"], []string{"a=1", "b=2"}) {
					t.Errorf("%s %d: %v %q", method, status, r.Header, body)
				}
			}
		}
		req := request(t, "GET", o.url("/head?"+strings.Repeat("q", 7<<10)), nil)
		req.Header = http.Header{"User-Agent": {""}, "Cookie": {strings.Repeat("c", 16<<10)}}
		want := fmt.Sprintf("User-Agent=0 Accept-Encoding=0 X-Forwarded-For=0 Via=0 Forwarded=0 Cookie=%d uri=%d", 16<<10, 7<<10+len("/head?"))
		if _, body, err := fetch(c, req); err != nil || body != want {
			t.Errorf("the origin saw %q; wanted %q; %v", body, want, err)
		}
	})
}

// TestCut: an answer that ends in the middle is no whole one for the agent. What
// came before a reset may be lost with it (RFC 9113 §5.4.2).
func TestCut(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		r, body, err := fetch(c, request(t, "GET", o.url("/cut"), nil))
		if r == nil || r.StatusCode != 200 || !strings.HasPrefix("half of ", body) || err == nil {
			t.Errorf("%v %q %v", r, body, err)
		}
	})
}

// TestInterim: a 103 comes through, and a final answer in place of a 100.
func TestInterim(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		var early []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			early = append(early, fmt.Sprint(code, h.Get("Link")))
			return nil
		}})
		_, body, err := fetch(c, request(t, "GET", o.url("/early"), nil).WithContext(ctx))
		if err != nil || body != "late" || !slices.Equal(early, []string{"103</style.css>; rel=preload"}) {
			t.Errorf("%q %q %v", early, body, err)
		}
		// Expect is answered by the origin, so that no byte of the content is asked for.
		untouched := &countingReader{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
		req := request(t, "POST", o.url("/refuse"), io.NopCloser(untouched))
		req.ContentLength = 1 << 20
		req.Header.Set("Expect", "100-continue")
		r, _, err := fetch(c, req)
		if err != nil || r.StatusCode != 413 || untouched.n > 0 {
			t.Errorf("%v %v, after %d bytes of content", r, err, untouched.n)
		}
		req = request(t, "POST", o.url("/whole"), io.NopCloser(strings.NewReader("asked for")))
		req.ContentLength = 9
		req.Header.Set("Expect", "100-continue")
		if _, body, err := fetch(c, req); err != nil || body != "asked for <nil>" {
			t.Errorf("%q %v", body, err)
		}
	})
}

type countingReader struct {
	io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// TestManyAtOnce: 200 requests at once, several times over, a third of which the
// agent gives up.
func TestManyAtOnce(t *testing.T) {
	asVersions(t, func(t *testing.T, c *http.Client, o *origin) {
		const n = 200
		errs := make(chan error, n)
		for i := range n {
			go func() { errs <- severalTimes(t.Context(), c, o, i) }()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func severalTimes(ctx context.Context, c *http.Client, o *origin, i int) error {
	for turn := range 3 {
		content := fmt.Sprintf("request %d turn %d", i, turn)
		ctx, cancel := context.WithCancel(ctx)
		req, err := http.NewRequestWithContext(ctx, "POST", o.url("/echo"), strings.NewReader(content))
		if err != nil {
			cancel()
			return err
		}
		if (i+turn)%3 == 0 {
			r, err := c.Do(req)
			if err == nil {
				cancel()
				r.Body.Close()
			}
			cancel()
			continue
		}
		_, body, err := fetch(c, req)
		cancel()
		if err != nil || body != content {
			return errors.Join(err, fmt.Errorf("%s: %q", content, body))
		}
	}
	return nil
}
