package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bottle/pkg/http1"
)

// Of many requests at once, ahead of each other's answers and in pieces, each
// keeps to itself: id, path, content both ways, credential and log line agree.
func TestNothingMixes(t *testing.T) {
	w := newWorld(t, "routes: []", func(c *Config) {
		c.Token = (&Tokens{Getenv: func(n string) string { return "secret-of-" + n }}).Get
	})
	hosts := []string{"a.test", "b.test"}
	rows := ""
	for i, h := range hosts {
		port := portOf(w.serve(h, &mirror{t, "Bearer secret-of-T" + strconv.Itoa(i)}))
		hosts[i] = fmt.Sprintf("%s:%d", h, port)
		rows += fmt.Sprintf("{host: %s, ports: [%d], auth_scheme: Bearer, token_env: T%d}, ", h, port, i)
	}
	w.routes("routes: [%s]", rows)
	var orders sync.Map
	var ids atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(3 * time.Second)
	for i := range 16 {
		to := hosts[i%2]
		c := w.tunnel(to)
		c.SetDeadline(end.Add(time.Minute))
		wg.Go(func() {
			for time.Now().Before(end) && !t.Failed() {
				batch := make([]*order, 1+rand.Intn(4))
				for i := range batch {
					batch[i] = newOrder(int(ids.Add(1)), to)
					orders.Store(batch[i].path, batch[i])
				}
				if err := c.mix(batch); err != nil {
					t.Error(err)
				}
			}
		})
		if i%4 == 0 {
			w.routes("routes: [%s {host: n%d.test}]", rows, i)
		}
	}
	wg.Wait()
	for _, l := range w.wantLines(int(ids.Load())) {
		o, ok := orders.LoadAndDelete(l.Path)
		if !ok {
			t.Fatalf("no such request, or a second line: %+v", l)
		}
		if err := o.(*order).logged(&l); err != nil {
			t.Error(err)
		}
	}
}

// order is a request and what must come of it.
type order struct {
	to, path, method string
	content          []byte
	chunked          bool
	want             []byte // content of the answer
}

func newOrder(id int, to string) *order {
	path := fmt.Sprintf("/%d", id)
	size := func() int { return []int{0, rand.Intn(100), rand.Intn(20000), rand.Intn(200000)}[rand.Intn(4)] }
	o := &order{to: to, path: path, method: []string{"GET", "HEAD", "POST", "POST"}[rand.Intn(4)], want: fillWith(path, size())}
	if o.method == "POST" {
		o.content, o.chunked = fillWith(path, size()), rand.Intn(2) == 0
	}
	return o
}

// fillWith is n bytes that tell whose they are.
func fillWith(path string, n int) []byte {
	return bytes.Repeat([]byte(path), n/len(path)+1)[:n]
}

func (o *order) appendTo(b *bytes.Buffer) {
	fmt.Fprintf(b, "%s %s HTTP/1.1\r\nHost: %s\r\nX-Id: %s\r\nX-Want: %d\r\n", o.method, o.path, o.to, o.path, len(o.want))
	switch {
	case o.chunked && len(o.content) > 0:
		fmt.Fprintf(b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(o.content), o.content)
	case o.chunked:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	default:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n%s", len(o.content), o.content)
	}
}

// logged compares the line of the access log with the request.
func (o *order) logged(l *Access) error {
	received := int64(len(o.want))
	if o.method == "HEAD" {
		received = 0
	}
	host, _, _ := strings.Cut(o.to, ":")
	if l.Host != host || l.Route != host || l.Method != o.method || l.Status != 200 || l.Sent != int64(len(o.content)) || l.Received != received {
		return fmt.Errorf("%s %s%s: %+v", o.method, o.to, o.path, *l)
	}
	return nil
}

// mix sends the requests in pieces, with pauses, and wants their answers.
func (c *wire) mix(batch []*order) error {
	var b bytes.Buffer
	for _, o := range batch {
		o.appendTo(&b)
	}
	sent := make(chan error, 1)
	go func() {
		for b.Len() > 0 {
			if _, err := c.Write(b.Next(1 + rand.Intn(50000))); err != nil {
				sent <- err
				return
			}
			if rand.Intn(10) == 0 { // for longer than dozeAfter, at times
				time.Sleep(time.Duration(rand.Intn(130)) * time.Millisecond)
			}
		}
		sent <- nil
	}()
	for _, o := range batch {
		r, err := http1.ReadResponse(c.br, o.method, http1.Limits{})
		if err != nil {
			return fmt.Errorf("%s: %w", o.path, err)
		}
		got, err := io.ReadAll(http1.NewBody(c.br, r.ContentLength))
		if err != nil || r.Header.Get("X-Id") != o.path || o.method != "HEAD" && !bytes.Equal(got, o.want) {
			return fmt.Errorf("%s %s: %d %v, %d bytes, %v", o.method, o.path, r.Status, r.Header, len(got), err)
		}
	}
	return <-sent
}

// mirror is the origin: it answers with the request's id.
type mirror struct {
	t    *testing.T
	cred string
}

func (m *mirror) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Id")
	b, err := io.ReadAll(r.Body)
	if cred := r.Header["Authorization"]; len(cred) != 1 || cred[0] != m.cred || r.URL.Path != id || err != nil || !bytes.Equal(b, fillWith(id, len(b))) {
		m.t.Errorf("%s with id %s, credential %q, %d bytes, %v", r.URL.Path, id, cred, len(b), err)
	}
	n, _ := strconv.Atoi(r.Header.Get("X-Want"))
	rw.Header().Set("X-Id", id)
	for b := fillWith(id, n); len(b) > 0; {
		k := min(len(b), 1+rand.Intn(40000))
		rw.Write(b[:k])
		if b = b[k:]; rand.Intn(3) == 0 {
			rw.(http.Flusher).Flush()
		}
	}
}
