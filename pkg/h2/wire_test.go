package h2

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// TestMain sees to it that no goroutine outlives the tests.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // fuzzing leaves goroutines of its own
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); code == 0 && n > before {
		buf := make([]byte, 1<<20)
		fmt.Printf("%d goroutines, %d before the tests\n%s\n", n, before, buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// wire is one end of a connection whose frames the test writes by hand.
type wire struct {
	t testing.TB
	net.Conn
	fr   *http2.Framer
	buf  bytes.Buffer
	enc  *hpack.Encoder
	next uint32
}

// pair is a TCP connection with itself.
func pair(t testing.TB) (a, b net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func newWire(t testing.TB, c net.Conn) *wire {
	w := &wire{t: t, Conn: c, next: 1}
	w.fr = http2.NewFramer(c, c)
	w.fr.AllowIllegalWrites = true
	w.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.enc = hpack.NewEncoder(&w.buf)
	c.SetDeadline(time.Now().Add(patience))
	return w
}

// atServer is a client by hand, before its preface, at a server of ours. The
// channel gives what Serve returned.
func atServer(t testing.TB, cfg Config, handle func(*Stream)) (*wire, *ServerConn, chan error) {
	a, b := pair(t)
	s := NewServer(b, cfg, handle)
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Serve did not return after Close")
		}
	})
	return newWire(t, a), s, done
}

// greeted is atServer behind preface and SETTINGS.
func greeted(t testing.TB, cfg Config, handle func(*Stream)) *wire {
	w, _, _ := atServer(t, cfg, handle)
	w.greet()
	return w
}

func (w *wire) greet(settings ...http2.Setting) {
	io.WriteString(w, preface)
	w.fr.WriteSettings(settings...)
	w.until("our SETTINGS acknowledged", func(f http2.Frame) bool {
		s, ok := f.(*http2.SettingsFrame)
		if ok && !s.IsAck() {
			w.fr.WriteSettingsAck()
		}
		return ok && s.IsAck()
	})
}

// atClient is a server by hand, behind its SETTINGS, for a client of ours.
func atClient(t testing.TB, cfg Config, settings ...http2.Setting) (*wire, *Client) {
	a, b := pair(t)
	cl, err := NewClient(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	w := newWire(t, b)
	if _, err := io.ReadFull(b, make([]byte, len(preface))); err != nil {
		t.Fatal(err)
	}
	w.fr.WriteSettings(settings...)
	w.fr.WriteSettingsAck()
	w.until("SETTINGS acknowledged", func(f http2.Frame) bool {
		s, ok := f.(*http2.SettingsFrame)
		return ok && s.IsAck()
	})
	return w, cl
}

// block encodes fields: name, value, name, value.
func (w *wire) block(fields ...string) []byte {
	w.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(w.buf.Bytes())
}

var getHead = []string{":method", "GET", ":scheme", "https", ":authority", "a.test", ":path", "/"}

// post is a POST's head and further fields.
func post(more ...string) []string {
	return append([]string{":method", "POST", ":scheme", "https", ":authority", "a.test", ":path", "/"}, more...)
}

// open sends a head on a new stream.
func (w *wire) open(end bool, fields ...string) uint32 {
	id := w.next
	w.next += 2
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(fields...), EndHeaders: true, EndStream: end})
	return id
}

// until reads frames until one is as wanted.
func (w *wire) until(what string, ok func(http2.Frame) bool) {
	w.t.Helper()
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			w.t.Fatalf("%v; wanted %s", err, what)
		}
		if ok(f) {
			return
		}
	}
}

// outcome is how a stream ended: the status and whether the answer did, or the
// code of a reset, or of a GOAWAY.
func (w *wire) outcome(id uint32) string {
	status := ""
	for {
		f, err := w.fr.ReadFrame()
		if err != nil {
			return "closed: " + err.Error()
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == id && status == "" {
				status = f.PseudoValue("status")
			}
			if f.StreamID == id && f.StreamEnded() {
				return status
			}
		case *http2.DataFrame:
			if f.StreamID == id && f.StreamEnded() {
				return status
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "reset " + f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "goaway " + f.ErrCode.String()
			}
		}
	}
}

// works sends a request and wants it answered.
func (w *wire) works() {
	w.t.Helper()
	if got := w.outcome(w.open(true, getHead...)); got != "200" {
		w.t.Fatalf("the next request: %s; wanted 200", got)
	}
}

// count answers with the length of the content.
func count(s *Stream) {
	n, err := io.Copy(io.Discard, struct{ io.Reader }{s})
	if err != nil {
		return
	}
	s.Respond(200, nil, false)
	fmt.Fprint(s, n)
	s.End(nil)
}
