package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// content is size bytes of which every block is another one. It is read, or
// compared with what is written to it.
type content struct {
	at, size int64
	block    []byte
}

// noise is what the blocks have in common: no compressor and no repetition
// hides a block that is missing.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 64<<10)
	rand.Read(b)
	return b
})

func newContent(size int64) *content {
	return &content{size: size, block: bytes.Clone(noise())}
}

// next is what follows, of the present block.
func (c *content) next() []byte {
	off := c.at % int64(len(c.block))
	binary.BigEndian.PutUint64(c.block, uint64(c.at-off))
	return c.block[off:min(int64(len(c.block)), off+c.size-c.at)]
}

func (c *content) Read(p []byte) (int, error) {
	if c.at == c.size {
		return 0, io.EOF
	}
	n := copy(p, c.next())
	c.at += int64(n)
	return n, nil
}

func (c *content) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		want := c.next()
		want = want[:min(len(want), len(p)-n)]
		if len(want) == 0 || !bytes.Equal(p[n:n+len(want)], want) {
			return n, fmt.Errorf("wrong content in the bytes from %d on", c.at)
		}
		n += len(want)
		c.at += int64(len(want))
	}
	return len(p), nil
}

// whole is nil when all was compared.
func (c *content) whole() error {
	if c.at != c.size {
		return fmt.Errorf("%d bytes came; wanted %d", c.at, c.size)
	}
	return nil
}

// bodies is an origin that sends content of a size, and compares what comes.
func bodies(w http.ResponseWriter, r *http.Request) {
	var size int64
	fmt.Sscan(r.URL.Query().Get("size"), &size)
	c := newContent(size)
	switch r.URL.Path {
	case "/down":
		io.Copy(w, c)
	case "/up":
		_, err := io.Copy(c, r.Body)
		if err == nil {
			err = c.whole()
		}
		fmt.Fprint(w, err)
	case "/trickle": // reads, so to say
		for b := make([]byte, 1024); ; time.Sleep(20 * time.Millisecond) {
			if _, err := r.Body.Read(b); err != nil {
				return
			}
		}
	}
}

// loadBodies: contents of any size pass both ways, beside a reader and a writer
// that hardly read, and memory does not grow with them.
func loadBodies(t *testing.T, program string) {
	for _, v := range []struct {
		name   string
		protos []string
		size   int
	}{
		{"http1.1", []string{"http/1.1"}, scaled(1<<30, 1<<30, 8<<20)},
		{"h2", []string{"h2", "http/1.1"}, scaled(1<<30, 256<<20, 8<<20)},
	} {
		t.Run(v.name, func(t *testing.T) {
			l := startLoaded(t, program, http.HandlerFunc(bodies), v.protos...)
			before := l.status(t, "VmHWM")
			h2 := v.protos[0] == "h2"
			defer l.hardlyRead(t, h2)()
			defer l.hardlyWritten(t, h2)()
			c := l.client(t, h2)
			c.Timeout = time.Minute // in which nothing is done when one holds up another
			for name, run := range map[string]func(*http.Client, int64) error{"down": l.down, "up": l.up} {
				start := time.Now()
				if err := run(c, int64(v.size)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				t.Logf("%d MiB %s in %v", v.size>>20, name, time.Since(start).Round(time.Millisecond))
			}
			within(t, "VmHWM in MiB above the start", float64(l.status(t, "VmHWM")-before)/1024, 64)
		})
	}
}

func (l *loaded) down(c *http.Client, size int64) error {
	r, err := c.Get(fmt.Sprintf("https://%s/down?size=%d", l.secured, size))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	got := newContent(size)
	if _, err := io.CopyBuffer(got, r.Body, make([]byte, 64<<10)); err != nil {
		return err
	}
	return got.whole()
}

func (l *loaded) up(c *http.Client, size int64) error {
	r, err := c.Post(fmt.Sprintf("https://%s/up?size=%d", l.secured, size), "", newContent(size))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != "<nil>" {
		return fmt.Errorf("%s %v", b, err)
	}
	return nil
}

// hardlyRead begins an answer of 1 GiB and reads a KiB of it now and then, until
// stop.
func (l *loaded) hardlyRead(t *testing.T, h2 bool) (stop func()) {
	r, err := l.client(t, h2).Get(fmt.Sprintf("https://%s/down?size=%d", l.secured, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	done, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		got := newContent(1 << 30)
		for {
			if _, err := io.CopyN(got, r.Body, 1024); err != nil {
				t.Errorf("the slow reader: %v", err)
				return
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended; r.Body.Close() }
}

// hardlyWritten begins a request of 1 GiB that the origin hardly reads, until
// stop.
func (l *loaded) hardlyWritten(t *testing.T, h2 bool) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+l.secured+"/trickle", newContent(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		if r, err := l.client(t, h2).Do(req); err == nil || ctx.Err() == nil {
			t.Errorf("the slow request ended by itself: %v %v", r, err)
		}
	}()
	return func() { cancel(); <-ended }
}
