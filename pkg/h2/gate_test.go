package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// gate is a connection whose writes wait while it is shut, as those to a peer
// that does not read do.
type gate struct {
	net.Conn
	mu      sync.Mutex
	cond    sync.Cond
	shut    bool
	waiting int
}

func newGate(t testing.TB, c net.Conn) *gate {
	g := &gate{Conn: c}
	g.cond.L = &g.mu
	t.Cleanup(func() { g.set(false) })
	return g
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	g.cond.Broadcast()
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	g.waiting++
	for g.shut {
		g.cond.Wait()
	}
	g.waiting--
	g.mu.Unlock()
	return g.Conn.Write(p)
}

// awaitWrite returns once a write waits.
func (g *gate) awaitWrite(t testing.TB) {
	t.Helper()
	eventually(t, "a write that waits", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.waiting > 0
	})
}

// gated is a client of ours, greeted, of which one request waits in the write to
// a server that does not read.
func gated(t *testing.T) (*wire, *Client, *gate) {
	a, b := pair(t)
	g := newGate(t, a)
	cl, err := NewClient(g, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	w := newWire(t, b)
	io.ReadFull(b, make([]byte, len(preface)))
	w.fr.WriteSettings()
	w.fr.WriteSettingsAck()
	w.until("SETTINGS acknowledged", func(f http2.Frame) bool { s, ok := f.(*http2.SettingsFrame); return ok && s.IsAck() })
	g.set(true)
	go cl.Open(asking("/first"), true)
	g.awaitWrite(t)
	return w, cl, g
}

// asking is the head of a GET.
func asking(path string) Head {
	return Head{Method: "GET", Scheme: "https", Authority: "a.test", Path: path}
}

// A request whose stream failed with ErrNotSent, and that may thus be sent
// elsewhere, does not reach the server afterwards.
func TestNotSentStaysBehind(t *testing.T) {
	w, cl, g := gated(t)
	s, err := cl.Open(asking("/second"), true)
	if err != nil {
		t.Fatal(err)
	}
	w.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0}) // which ends the connection
	if _, err := s.ReadHead(); !errors.Is(err, ErrNotSent) {
		t.Fatalf("%v; wanted ErrNotSent", err)
	}
	g.set(false)
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := f.(*http2.MetaHeadersFrame); ok && h.PseudoValue("path") != "/first" {
			t.Errorf("%s reached the server", h.PseudoValue("path"))
		}
	}
}

// Reset, which any goroutine may call, waits for no peer that does not read.
func TestResetDoesNotWait(t *testing.T) {
	a, b := pair(t)
	g := newGate(t, b)
	begun, hold := make(chan *Stream, 1), make(chan bool)
	srv := NewServer(g, Config{}, func(s *Stream) {
		s.Respond(200, nil, false)
		s.Flush()
		begun <- s
		<-hold
	})
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	w := newWire(t, a)
	w.greet()
	w.open(true, getHead...)
	s := <-begun
	g.set(true)
	reset := make(chan bool)
	go func() { s.Reset(Cancel); close(reset) }()
	select {
	case <-reset:
	case <-time.After(patience):
		t.Error("Reset waits in a write")
	}
	g.set(false)
	close(hold)
	srv.Close()
	<-served
}

// OpenContext ends with its context where it waits for room in the buffer, and
// says that nothing was sent.
func TestOpenEndsWithContext(t *testing.T) {
	_, cl, _ := gated(t)
	full := func() bool { cl.mu.Lock(); defer cl.mu.Unlock(); return len(cl.out.b)+frameHead > outSize }
	for !full() {
		h := asking("/")
		h.Header = http1.Header{{Name: "long", Value: strings.Repeat("x", 10_000)}}
		if _, err := cl.Open(h, true); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := cl.OpenContext(ctx, asking("/last"), true); ended <- err }()
	eventually(t, "OpenContext waits", func() bool { cl.mu.Lock(); defer cl.mu.Unlock(); return len(cl.out.blocked) > 0 })
	why := errors.New("why")
	cancel(why)
	select {
	case err := <-ended:
		if !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), "why") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("OpenContext goes on")
	}
}
