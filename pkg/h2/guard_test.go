package h2

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// calmed wants the connection ended for a flood.
func calmed(t *testing.T, w *wire, send func() error) {
	t.Helper()
	go func() {
		for range 200_000 {
			if send() != nil {
				return
			}
		}
	}()
	if got := w.outcome(0); got != "goaway ENHANCE_YOUR_CALM" {
		t.Errorf("%s; wanted goaway ENHANCE_YOUR_CALM", got)
	}
	w.Close()
}

func TestFloods(t *testing.T) {
	for name, send := range map[string]func(w *wire, id uint32) error{
		"PING":          func(w *wire, _ uint32) error { return w.fr.WritePing(false, [8]byte{}) },
		"PING ack":      func(w *wire, _ uint32) error { return w.fr.WritePing(true, [8]byte{}) },
		"SETTINGS":      func(w *wire, _ uint32) error { return w.fr.WriteSettings() },
		"SETTINGS ack":  func(w *wire, _ uint32) error { return w.fr.WriteSettingsAck() },
		"PRIORITY":      func(w *wire, id uint32) error { return w.fr.WritePriority(id, http2.PriorityParam{}) },
		"WINDOW_UPDATE": func(w *wire, id uint32) error { return w.fr.WriteWindowUpdate(id, 1) },
		"empty DATA":    func(w *wire, id uint32) error { return w.fr.WriteData(id, false, nil) },
		"padded DATA":   func(w *wire, id uint32) error { return w.fr.WriteDataPadded(id, false, nil, make([]byte, 200)) },
		"unknown":       func(w *wire, id uint32) error { return w.fr.WriteRawFrame(0xbe, 0, id, nil) },
		"RST_STREAM":    func(w *wire, id uint32) error { return w.fr.WriteRSTStream(id, http2.ErrCodeCancel) },
		"late DATA":     func(w *wire, id uint32) error { return w.fr.WriteData(1, false, []byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := greeted(t, Config{}, count)
			gone := w.open(false, append(post(), "Upper", "x")...)
			if got := w.outcome(gone); got != "reset PROTOCOL_ERROR" {
				t.Fatal(got)
			}
			id := w.open(false, post()...)
			calmed(t, w, func() error { return send(w, id) })
		})
	}
}

// A client that works all the time may send as many of them as its work asks for.
func TestNoFlood(t *testing.T) {
	w := greeted(t, Config{}, func(s *Stream) {
		s.Respond(200, nil, false)
		s.Write(make([]byte, 4<<10))
		s.End(nil)
	})
	for range 3 * calmBurst {
		id := w.open(true, getHead...)
		w.fr.WritePriority(id, http2.PriorityParam{Weight: 3})
		if got := w.outcome(id); got != "200" {
			t.Fatal(got)
		}
		w.fr.WriteWindowUpdate(0, 2<<10)
		w.fr.WriteWindowUpdate(0, 2<<10)
		w.fr.WriteWindowUpdate(id, 4<<10)
		w.fr.WritePing(false, [8]byte{})
	}
}

// Rapid reset (CVE-2023-44487): streams that are reset do not make room for more
// handlers, and there is an end to them.
func TestRapidReset(t *testing.T) {
	var now, most atomic.Int64
	const streams = 20
	w := greeted(t, Config{MaxStreams: streams}, func(s *Stream) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		gone := make(chan error, 1)
		s.OnGone(func(err error) { gone <- err })
		<-gone
		time.Sleep(time.Millisecond) // the work that goes on
	})
	calmed(t, w, func() error {
		id := w.open(true, getHead...)
		return w.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	})
	if most.Load() > streams {
		t.Errorf("%d handlers at once; wanted %d at most", most.Load(), streams)
	}
	eventually(t, "no handlers", func() bool { return now.Load() == 0 })
}

// The same, with resets that the client provokes (CVE-2025-8671).
func TestMadeYouReset(t *testing.T) {
	w := greeted(t, Config{}, func(s *Stream) {
		gone := make(chan error, 1)
		s.OnGone(func(err error) { gone <- err })
		<-gone
	})
	calmed(t, w, func() error {
		return w.fr.WriteWindowUpdate(w.open(true, getHead...), 0)
	})
}

func TestTooManyStreams(t *testing.T) {
	release := make(chan struct{})
	w := greeted(t, Config{MaxStreams: 3}, func(s *Stream) { <-release; count(s) })
	var ids []uint32
	for range 3 {
		ids = append(ids, w.open(true, getHead...))
	}
	if got := w.outcome(w.open(true, getHead...)); got != "reset REFUSED_STREAM" {
		t.Errorf("%s; wanted reset REFUSED_STREAM", got)
	}
	close(release)
	seen := map[uint32]bool{}
	w.until("three answers", func(f http2.Frame) bool {
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			seen[d.StreamID] = true
		}
		return len(seen) == len(ids)
	})
	w.works()
}

// A stream whose handler has yet to return leaves room for the next.
func TestHandlerOutlivesStream(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var first atomic.Bool
	w := greeted(t, Config{MaxStreams: 2}, func(s *Stream) {
		count(s)
		if first.CompareAndSwap(false, true) {
			<-release
		}
	})
	for range 5 {
		w.works()
	}
}

// A head over the limits is answered with 431, and the table stays the peer's.
func TestHeadTooLong(t *testing.T) {
	cfg := Config{HeadBytes: 4 << 10, Fields: 10}
	w := greeted(t, cfg, count)
	long := append(getHead[:8:8], "x-long", strings.Repeat("v", 3<<10), "x-longer", strings.Repeat("w", 3<<10), "x-kept", "kept")
	if got := w.outcome(w.open(true, long...)); got != "431" {
		t.Errorf("too many bytes: %s; wanted 431", got)
	}
	many := getHead[:8:8]
	for range 11 {
		many = append(many, "x-a", "b")
	}
	if got := w.outcome(w.open(true, many...)); got != "431" {
		t.Errorf("too many fields: %s; wanted 431", got)
	}
	crumbs := getHead[:8:8]
	for range 50 {
		crumbs = append(crumbs, "cookie", "a=b")
	}
	if got := w.outcome(w.open(true, crumbs...)); got != "200" {
		t.Errorf("crumbs of one cookie: %s; wanted 200", got)
	}
	if got := w.outcome(w.open(true, append(getHead[:8:8], "x-kept", "kept")...)); got != "200" {
		t.Errorf("a field that the long head put into the table: %s", got)
	}
	// One byte of the block is 3 KiB of the head each time.
	bomb := getHead[:8:8]
	for range 4000 {
		bomb = append(bomb, "x-long", strings.Repeat("v", 3<<10))
	}
	if got := w.outcome(w.open(true, bomb...)); got != "431" {
		t.Errorf("a bomb: %s; wanted 431", got)
	}
	id := w.open(false, post()...)
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(many[8:]...), EndHeaders: true, EndStream: true})
	if got := w.outcome(id); got != "reset ENHANCE_YOUR_CALM" {
		t.Errorf("too many fields in a trailer section: %s", got)
	}
	w.works()
}

// blocks sends a head as a HEADERS frame and so many CONTINUATIONs of n bytes,
// and ends it if end says so.
func (w *wire) blocks(count, n int, end bool) error {
	b := w.block(getHead...)
	id := w.next
	w.next += 2
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b, EndStream: true})
	value := strings.Repeat("v", n)
	for range count {
		w.buf.Reset()
		var b []byte
		if n > 0 {
			b = append([]byte{0, 1, 'a', 127}, appendVarInt7(nil, n)[1:]...)
			b = append(b, value...)
		}
		if err := w.fr.WriteContinuation(id, false, b); err != nil {
			return err
		}
	}
	if end {
		return w.fr.WriteContinuation(id, true, nil)
	}
	return nil
}

// CVE-2024-27316, in the many ways to make a block without end.
func TestContinuations(t *testing.T) {
	w := greeted(t, Config{}, count)
	w.blocks(20, 500, true)
	if got := w.outcome(1); got != "200" {
		t.Errorf("a head in 21 pieces: %s", got)
	}
	for name, c := range map[string][2]int{"empty": {maxFragments + 5, 0}, "small": {maxFragments + 5, 130}, "large": {60, 16000}} {
		w := greeted(t, Config{}, count)
		go w.blocks(c[0], c[1], false)
		if got := w.outcome(0); got != "goaway ENHANCE_YOUR_CALM" {
			t.Errorf("%s: %s", name, got)
		}
		w.Close()
	}
}

// A peer that asks for answers and does not read them is cut off, whether the
// answers are frames or content.
func TestPeerDoesNotRead(t *testing.T) {
	for name, send := range map[string]func(w *wire) error{
		"PING": func(w *wire) error { return w.fr.WritePing(false, [8]byte{}) },
		"GET":  func(w *wire) error { w.open(true, getHead...); return w.fr.WriteWindowUpdate(0, 1<<16) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := net.Pipe() // with no buffer of a kernel's
			s := NewServer(b, Config{Stall: time.Second}, func(s *Stream) {
				s.Respond(200, nil, false)
				s.Write(make([]byte, 60<<10))
				s.End(nil)
			})
			done := make(chan error, 1)
			go func() { done <- s.Serve() }()
			w := newWire(t, a)
			io.WriteString(w, preface)
			w.fr.WriteSettings()
			for send(w) == nil {
			}
			select {
			case err := <-done:
				var ce *ConnError
				if err != errStalledWrite && !(errors.As(err, &ce) && ce.Code == EnhanceYourCalm) {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Error("the connection lives")
			}
		})
	}
}

// What is begun and does not go on ends the connection; what is between two
// frames does not.
func TestStall(t *testing.T) {
	head := func(w *wire) []byte { return w.block(getHead...) }
	for name, c := range map[string]struct {
		send  func(w *wire)
		stays bool
	}{
		"nothing":       {func(w *wire) {}, false},
		"half preface":  {func(w *wire) { io.WriteString(w, preface[:10]) }, false},
		"no SETTINGS":   {func(w *wire) { io.WriteString(w, preface) }, false},
		"half a header": {func(w *wire) { w.greet(); w.Write([]byte{0, 0, 8, 6}) }, false},
		"half a PING":   {func(w *wire) { w.greet(); w.Write([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1}) }, false},
		"half a block": {func(w *wire) {
			w.greet()
			w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(w)})
		}, false},
		"half a DATA frame": {func(w *wire) {
			w.greet()
			w.open(false, post()...)
			w.Write([]byte{0, 0, 8, 0, 0, 0, 0, 0, 1, 'x'})
		}, false},
		"a stream": {func(w *wire) { w.greet(); w.open(false, post()...) }, true},
		"idle":     {func(w *wire) { w.greet() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, done := atServer(t, Config{Stall: 400 * time.Millisecond}, count)
			c.send(w)
			if c.stays {
				select {
				case err := <-done:
					t.Error("ended:", err)
				case <-time.After(1200 * time.Millisecond):
				}
				return
			}
			if err := <-done; err != errStalledRead {
				t.Errorf("%v; wanted %v", err, errStalledRead)
			}
			done <- nil
		})
	}
}

// A slow upload that goes on is no stall.
func TestSlowData(t *testing.T) {
	w := greeted(t, Config{Stall: 400 * time.Millisecond}, count)
	id := w.open(false, post()...)
	w.Write([]byte{0, 0, 10, 0, 1, 0, 0, 0, 1})
	for range 10 {
		time.Sleep(100 * time.Millisecond)
		w.Write([]byte{'x'})
	}
	if got := w.outcome(id); got != "200" {
		t.Error(got)
	}
}

// A connection without streams is closed after a while, with GOAWAY first.
func TestIdle(t *testing.T) {
	w, s, done := atServer(t, Config{Idle: 300 * time.Millisecond}, count)
	w.greet()
	w.works()
	w.until("GOAWAY", func(f http2.Frame) bool {
		if p, ok := f.(*http2.PingFrame); ok {
			w.fr.WritePing(true, p.Data)
		}
		g, ok := f.(*http2.GoAwayFrame)
		return ok && g.LastStreamID == 1
	})
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	done <- nil
	if !s.Idle() {
		t.Error("not idle")
	}
}
