package h2

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"bottle/pkg/http1"
)

func TestGoClientGet(t *testing.T) {
	w := newSite(t, Config{}, func(s *Stream) {
		h := s.Head()
		body := fmt.Sprintf("%s %s %s %s %d", h.Method, h.Scheme, h.Authority, h.Path, h.Length)
		s.Respond(200, http1.Header{{Name: "Content-Type", Value: "text/plain"}, {Name: "X-Cookie", Value: h.Header.Get("cookie")}}, false)
		io.WriteString(s, body)
		s.End(nil)
	})
	req, _ := http.NewRequest("GET", w.url+"/a?b", nil)
	req.Header["Cookie"] = []string{"a=1; b=2; c=3"}
	resp, err := goClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	want := "GET https " + strings.TrimPrefix(w.url, "https://") + " /a?b 0"
	if err != nil || string(b) != want || resp.Header.Get("X-Cookie") != "a=1; b=2; c=3" {
		t.Errorf("%q %v %v; wanted %q", b, err, resp.Header, want)
	}
}

func TestGoClientEcho(t *testing.T) {
	w := newSite(t, Config{}, echo)
	client := goClient(t)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			in := bytes.Repeat([]byte{byte(i)}, i*3000)
			resp, err := client.Post(w.url, "", bytes.NewReader(in))
			if err != nil {
				t.Error(err)
				return
			}
			out, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(in, out) {
				t.Errorf("%d: %d bytes back, %v; wanted %d", i, len(out), err, len(in))
			}
		}()
	}
	wg.Wait()
}

// echo sends the content back as it comes, and how much it was as a trailer.
func echo(s *Stream) {
	s.Respond(200, nil, false)
	s.Flush()
	buf, n := make([]byte, 32<<10), 0
	for {
		m, err := s.Read(buf)
		n += m
		if _, werr := s.Write(buf[:m]); werr != nil {
			return
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		s.Flush()
	}
	s.End(http1.Header{{Name: "X-Bytes", Value: fmt.Sprint(n)}})
}

func TestGoServerEcho(t *testing.T) {
	addr := goServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		io.Copy(w, r.Body)
	}))
	cl := dial(t, addr, Config{})
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			in := bytes.Repeat([]byte{byte(i)}, i*3000)
			s, err := cl.Open(Head{Method: "POST", Scheme: "https", Authority: addr, Path: "/"}, false)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			go func() {
				if _, err := s.Write(in); err != nil {
					t.Error(err)
				}
				s.End(nil)
			}()
			h, err := s.ReadHead()
			if err != nil || h.Status != 201 {
				t.Error(h, err)
			}
			out, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(in, out) {
				t.Errorf("%d: %d bytes back, %v; wanted %d", i, len(out), err, len(in))
			}
		}()
	}
	wg.Wait()
}
