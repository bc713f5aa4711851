package h2

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// cpu is the processor time of this process so far, in microseconds.
func cpu() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	us := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return us(u.Utime) + us(u.Stime)
}

// benchmark runs b.N requests, 32 at once, and reports the processor time that
// both ends took for each.
func benchmark(b *testing.B, get func(i int) error) {
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	var wg sync.WaitGroup
	var next atomic.Int64
	for g := range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for next.Add(1) <= int64(b.N) {
				if err := get(g); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.ReportMetric((cpu()-before)/float64(b.N), "cpu-µs/op")
}

var smallBody = []byte(`{"id":12345,"name":"a small answer as an API gives it","ok":true}`)

var answerHeader = http1.Header{
	{Name: "Content-Type", Value: "application/json"}, {Name: "Content-Length", Value: "65"},
	{Name: "Date", Value: "Mon, 02 Jan 2006 15:04:05 GMT"}, {Name: "Server", Value: "test"},
}

var requestHeader = http1.Header{
	{Name: "user-agent", Value: "bench/1"}, {Name: "accept", Value: "application/json"}, {Name: "authorization", Value: "Bearer abcdefghijklmnopqrstuvwxyz0123456789"},
}

func serveSmall(s *Stream) {
	s.Respond(200, answerHeader, false)
	s.Write(smallBody)
	s.End(nil)
}

func serveSmallGo(w http.ResponseWriter, _ *http.Request) {
	for _, f := range answerHeader {
		w.Header().Set(f.Name, f.Value)
	}
	w.Write(smallBody)
}

// BenchmarkSmall is the client and server of this package together.
func BenchmarkSmall(b *testing.B) {
	w := newSite(b, Config{}, serveSmall)
	var clients [2]*Client
	for i := range clients {
		clients[i] = dial(b, w.ln.Addr().String(), Config{})
	}
	benchmark(b, func(i int) error { return getSmall(clients[i%2], w.ln.Addr().String()) })
}

func getSmall(cl *Client, addr string) error {
	s, err := cl.Open(Head{Method: "GET", Scheme: "https", Authority: addr, Path: "/some/path?query=1", Header: requestHeader}, true)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.ReadHead(); err != nil {
		return err
	}
	var buf [512]byte
	for {
		if _, err := s.Read(buf[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// BenchmarkSmallGo is x/net/http2's transport and server together.
func BenchmarkSmallGo(b *testing.B) {
	addr := goServer(b, http.HandlerFunc(serveSmallGo))
	get := goGetter(b, "https://"+addr)
	benchmark(b, get)
}

// BenchmarkServer is this package's server under x/net/http2's transport.
func BenchmarkServer(b *testing.B) {
	w := newSite(b, Config{}, serveSmall)
	benchmark(b, goGetter(b, w.url))
}

// BenchmarkClient is this package's client with x/net/http2's server.
func BenchmarkClient(b *testing.B) {
	addr := goServer(b, http.HandlerFunc(serveSmallGo))
	var clients [2]*Client
	for i := range clients {
		clients[i] = dial(b, addr, Config{})
	}
	benchmark(b, func(i int) error { return getSmall(clients[i%2], addr) })
}

func goGetter(b *testing.B, url string) func(int) error {
	var clients [2]*http2.Transport
	for i := range clients {
		clients[i] = &http2.Transport{TLSClientConfig: testTLS().Clone(), DisableCompression: true}
		b.Cleanup(clients[i].CloseIdleConnections)
	}
	return func(i int) error {
		req, err := http.NewRequest("GET", url+"/some/path?query=1", nil)
		if err != nil {
			return err
		}
		for _, f := range requestHeader {
			req.Header.Set(f.Name, f.Value)
		}
		resp, err := clients[i%2].RoundTrip(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return err
	}
}

// BenchmarkDownload and BenchmarkUpload are a long body on one stream.
func BenchmarkDownload(b *testing.B) {
	piece := make([]byte, 32<<10)
	w := newSite(b, Config{}, func(s *Stream) {
		s.Respond(200, nil, false)
		for range b.N {
			if _, err := s.Write(piece); err != nil {
				return
			}
		}
		s.End(nil)
	})
	cl := dial(b, w.ln.Addr().String(), Config{})
	b.SetBytes(int64(len(piece)))
	b.ResetTimer()
	s, err := cl.Open(Head{Method: "GET", Scheme: "https", Authority: "a", Path: "/"}, true)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s}, make([]byte, 32<<10))
	if err != nil || n != int64(b.N*len(piece)) {
		b.Fatal(n, err)
	}
}

func BenchmarkUpload(b *testing.B) {
	piece := make([]byte, 32<<10)
	got := make(chan int64, 1)
	w := newSite(b, Config{}, func(s *Stream) {
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{s}, make([]byte, 32<<10))
		got <- n
		s.Respond(200, nil, true)
	})
	cl := dial(b, w.ln.Addr().String(), Config{})
	b.SetBytes(int64(len(piece)))
	b.ResetTimer()
	s, err := cl.Open(Head{Method: "POST", Scheme: "https", Authority: "a", Path: "/"}, false)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for range b.N {
		if _, err := s.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	s.End(nil)
	if n := <-got; n != int64(b.N*len(piece)) {
		b.Fatal(n)
	}
}
