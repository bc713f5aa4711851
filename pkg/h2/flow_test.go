package h2

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// body reads the content of an answer, up to n bytes of it.
func (w *wire) body(id uint32, n int) (got int, ended bool) {
	w.until("content", func(f http2.Frame) bool {
		d, ok := f.(*http2.DataFrame)
		if ok && d.StreamID == id {
			got += len(d.Data())
			ended = d.StreamEnded()
		}
		return ended || got >= n
	})
	return got, ended
}

// ping waits until all that was sent is taken, and fails on content.
func (w *wire) ping() {
	w.t.Helper()
	w.fr.WritePing(false, [8]byte{1})
	w.until("the ping's answer", func(f http2.Frame) bool {
		if d, ok := f.(*http2.DataFrame); ok {
			w.t.Errorf("%d bytes over the window", len(d.Data()))
		}
		p, ok := f.(*http2.PingFrame)
		return ok && p.IsAck()
	})
}

// The windows of the peer bound what is sent, and may become negative.
func TestPeerWindows(t *testing.T) {
	w, _, _ := atServer(t, Config{}, func(s *Stream) {
		s.Respond(200, nil, false)
		s.Write(make([]byte, 100_000))
		s.End(nil)
	})
	w.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	id := w.open(true, getHead...)
	if n, _ := w.body(id, 1000); n != 1000 {
		t.Fatalf("%d bytes into a window of 1000", n)
	}
	w.ping()
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}) // now it is -1000
	w.ping()
	w.fr.WriteWindowUpdate(id, 1000)
	w.ping()
	w.fr.WriteWindowUpdate(id, 1)
	if n, _ := w.body(id, 1); n != 1 {
		t.Fatalf("%d bytes into a window of 1", n)
	}
	w.ping()
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	if n, _ := w.body(id, firstWindow-1001); n != firstWindow-1001 {
		t.Fatalf("%d bytes into what was left of the connection's window", n)
	}
	w.ping()
	w.fr.WriteWindowUpdate(0, 1<<20)
	if n, ended := w.body(id, 100_000); !ended || n != 100_000-firstWindow {
		t.Fatal(n, ended)
	}
	w.fr.WriteWindowUpdate(0, 1)
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	id = w.open(true, getHead...)
	w.fr.WriteWindowUpdate(id, maxWindow)
	w.fr.WriteWindowUpdate(id, 1)
	if got := w.outcome(id); got != "reset FLOW_CONTROL_ERROR" && got != "200" {
		t.Errorf("a stream's window over 2^31-1: %s", got)
	}
}

// A stream blocked by its own window does not hold another.
func TestZeroWindow(t *testing.T) {
	w, s, _ := atServer(t, Config{}, count)
	w.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	blocked := w.open(true, getHead...)
	id := w.open(true, getHead...)
	w.fr.WriteWindowUpdate(id, 10)
	if got := w.outcome(id); got != "200" {
		t.Error(got)
	}
	w.fr.WriteRSTStream(blocked, http2.ErrCodeCancel)
	eventually(t, "no streams", s.Idle)
}

// Deadlines wake what waits, from any goroutine, and do no harm later.
func TestDeadlines(t *testing.T) {
	streams, done := make(chan *Stream, 1), make(chan string, 2)
	w, _, _ := atServer(t, Config{}, func(s *Stream) {
		streams <- s
		_, err := s.Read(make([]byte, 1))
		done <- fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))
		s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = s.Read(make([]byte, 1))
		done <- fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))
		s.SetReadDeadline(time.Time{})
		s.Respond(200, nil, false)
		s.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		_, err = s.Write(make([]byte, 1))
		s.SetWriteDeadline(time.Time{}) // before the test may set the next
		done <- fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))
		_, err = s.Write(make([]byte, 1))
		done <- fmt.Sprint(errors.Is(err, os.ErrDeadlineExceeded))
	})
	w.greet(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	id := w.open(false, post()...)
	s := <-streams
	s.SetReadDeadline(time.Unix(1, 0))
	for range 3 {
		if got := <-done; got != "true" {
			t.Error("another error than the deadline's")
		}
	}
	s.SetDeadline(time.Unix(1, 0))
	if got := <-done; got != "true" {
		t.Error("another error than the deadline's")
	}
	if got := w.outcome(id); got != "reset INTERNAL_ERROR" {
		t.Errorf("%s; wanted reset INTERNAL_ERROR", got)
	}
	s.SetDeadline(time.Now().Add(time.Millisecond))
	s.SetDeadline(time.Unix(1, 0))
	s.Reset(Cancel)
	s.OnGone(func(error) { t.Error("called after the handler returned") })
	s.Flush()
	if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read after the end: %v", err)
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("write after the end")
	}
	if err := s.End(nil); err == nil {
		t.Error("End after the end")
	}
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
}

// Streams that nobody reads: what they hold is bounded, and another goes on.
func TestUnreadStreams(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	w := greeted(t, Config{MaxStreams: 250}, func(s *Stream) {
		if s.Head().Path == "/" {
			count(s)
			return
		}
		if s.Head().Path == "/some" {
			s.Read(make([]byte, 8<<10)) // it gets a larger window
		}
		<-release
	})
	total := 0
	piece := make([]byte, 16<<10)
	for i := range 240 {
		path := "/none"
		if i%2 == 0 {
			path = "/some"
		}
		id := w.open(false, ":method", "POST", ":scheme", "https", ":path", path)
		w.fr.WriteData(id, false, piece[:serverWindow])
		total += serverWindow
	}
	// What more they were granted.
	w.fr.WritePing(false, [8]byte{1})
	deadline := time.Now().Add(time.Second)
	w.SetReadDeadline(deadline)
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			break
		}
		if u, ok := f.(*http2.WindowUpdateFrame); ok && u.StreamID != 0 {
			total += int(u.Increment)
		}
	}
	w.SetReadDeadline(time.Now().Add(patience))
	if most := 250*(serverWindow+8<<10) + serverGrowth; total > most {
		t.Errorf("%d bytes could be made to be held; wanted %d at most", total, most)
	}
	id := w.open(false, post()...)
	sent := 0
	window := serverWindow
	for sent < 8<<20 {
		for n := min(window, len(piece)); n > 0; n = min(window, len(piece)) {
			w.fr.WriteData(id, false, piece[:n])
			sent, window = sent+n, window-n
		}
		w.until("more window for the stream that is read", func(f http2.Frame) bool {
			u, ok := f.(*http2.WindowUpdateFrame)
			if ok && u.StreamID == id {
				window += int(u.Increment)
			}
			return ok && u.StreamID == id
		})
	}
	w.fr.WriteData(id, true, nil)
	if got := w.outcome(id); got != "200" {
		t.Error(got)
	}
}

// More than the window is an error of the stream, or of the connection.
func TestOverflow(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	w := greeted(t, Config{}, func(s *Stream) { <-release })
	id := w.open(false, post()...)
	w.fr.WriteData(id, false, make([]byte, serverWindow))
	w.fr.WriteData(id, false, make([]byte, 1))
	if got := w.outcome(id); got != "reset FLOW_CONTROL_ERROR" {
		t.Error(got)
	}
	// Without an acknowledgement of SETTINGS the connection's window is not given back.
	w, _, _ = atServer(t, Config{}, count)
	io.WriteString(w, preface)
	w.fr.WriteSettings()
	id = w.open(false, post()...)
	go func() {
		for range connWindow/(16<<10) + 1 {
			w.fr.WriteData(id, false, make([]byte, 16<<10))
		}
	}()
	if got := w.outcome(0); got != "goaway FLOW_CONTROL_ERROR" {
		t.Error(got)
	}
}

// What was taken of the first window may come behind the acknowledgement of a smaller
// one: a frame for each stream, and not beyond that first window.
func TestLateData(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		before, late int
		want         string
	}{
		"one frame":               {serverWindow, 16 << 10, ""},
		"behind half of a window": {serverWindow / 2, 16 << 10, ""},
		"the whole first window":  {firstWindow - 16<<10, 16 << 10, ""},
		"beyond the first window": {firstWindow - 16<<10 + 1, 16 << 10, "reset FLOW_CONTROL_ERROR"},
	} {
		w, _, _ := atServer(t, Config{}, func(s *Stream) { <-release })
		io.WriteString(w, preface)
		w.fr.WriteSettings()
		id := w.open(false, post()...)
		for left := c.before; left > 0; left -= min(left, 16<<10) {
			w.fr.WriteData(id, false, make([]byte, min(left, 16<<10)))
		}
		w.fr.WriteSettingsAck()
		w.fr.WriteData(id, false, make([]byte, c.late))
		if c.want == "" {
			w.ping() // it is taken
			w.fr.WriteData(id, false, make([]byte, 16<<10))
			c.want = "reset FLOW_CONTROL_ERROR" // and no second one
		}
		if got := w.outcome(id); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Padding is part of the windows, and given back like content.
func TestPadding(t *testing.T) {
	w := greeted(t, Config{}, count)
	id := w.open(false, post()...)
	window, sent := serverWindow, 0
	for sent < 10_000 {
		for window >= 257 {
			w.fr.WriteDataPadded(id, false, []byte("x"), make([]byte, 255))
			window, sent = window-257, sent+1
		}
		w.until("window for padding", func(f http2.Frame) bool {
			u, ok := f.(*http2.WindowUpdateFrame)
			if ok && u.StreamID == id {
				window += int(u.Increment)
			}
			return ok && u.StreamID == id
		})
	}
	w.fr.WriteDataPadded(id, true, nil, make([]byte, 100))
	var got string
	w.until("the answer", func(f http2.Frame) bool {
		if d, ok := f.(*http2.DataFrame); ok {
			got += string(d.Data())
			return d.StreamEnded()
		}
		return false
	})
	if got != fmt.Sprint(sent) {
		t.Errorf("%s bytes of content; wanted %d", got, sent)
	}
}
