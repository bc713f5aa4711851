package h2

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

func get(t testing.TB, cl *Client, method string) *Stream {
	t.Helper()
	s, err := cl.Open(Head{Method: method, Scheme: "https", Authority: "a.test", Path: "/"}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// answer is what a stream gave: statuses, content and how it ended.
func answer(s *Stream) string {
	var out []string
	for {
		h, err := s.ReadHead()
		if err != nil {
			return strings.Join(append(out, why(err)), " ")
		}
		out = append(out, fmt.Sprintf("%d/%d", h.Status, h.Length))
		if h.Status >= 200 {
			break
		}
	}
	b, err := io.ReadAll(s)
	out = append(out, fmt.Sprintf("%q", b))
	if err != nil {
		out = append(out, why(err))
	}
	for _, f := range s.Trailer() {
		out = append(out, f.Name+"="+f.Value)
	}
	return strings.Join(out, " ")
}

func why(err error) string {
	var se *StreamError
	var ce *ConnError
	switch {
	case errors.Is(err, ErrNotSent):
		return "not sent"
	case errors.Is(err, ErrNotProcessed):
		return "not processed"
	case errors.As(err, &se):
		return "stream " + se.Code.String()
	case errors.As(err, &ce):
		return "connection " + ce.Code.String()
	}
	return err.Error()
}

// head sends a head on a stream of the client's.
func (w *wire) head(id uint32, end bool, fields ...string) {
	w.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.block(fields...), EndHeaders: true, EndStream: end})
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		send   func(w *wire)
		want   string
	}{
		"plain": {"GET", func(w *wire) {
			w.head(1, false, ":status", "200", "content-length", "3")
			w.fr.WriteData(1, true, []byte("abc"))
		}, `200/3 "abc"`},
		"interim and trailer": {"GET", func(w *wire) {
			w.head(1, false, ":status", "103", "link", "x")
			w.head(1, false, ":status", "200")
			w.fr.WriteData(1, false, []byte("abc"))
			w.head(1, true, "grpc-status", "0", "content-type", "x", "set-cookie", "y")
		}, `103/-1 200/-1 "abc" grpc-status=0`},
		"head only":         {"GET", func(w *wire) { w.head(1, true, ":status", "200") }, `200/0 ""`},
		"HEAD":              {"HEAD", func(w *wire) { w.head(1, true, ":status", "200", "content-length", "9") }, `200/0 ""`},
		"304":               {"GET", func(w *wire) { w.head(1, true, ":status", "304", "content-length", "9") }, `304/0 ""`},
		"HEAD with content": {"HEAD", func(w *wire) { w.head(1, false, ":status", "200"); w.fr.WriteData(1, true, []byte("x")) }, `200/0 "" stream PROTOCOL_ERROR`},
		"too short": {"GET", func(w *wire) {
			w.head(1, false, ":status", "200", "content-length", "4")
			w.fr.WriteData(1, true, []byte("abc"))
		}, `200/4 "" stream PROTOCOL_ERROR`},
		"none there": {"GET", func(w *wire) { w.head(1, true, ":status", "200", "content-length", "4") }, `stream PROTOCOL_ERROR`},
		"too long": {"GET", func(w *wire) {
			w.head(1, false, ":status", "200", "content-length", "2")
			w.fr.WriteData(1, true, []byte("abc"))
		}, `200/2 "" stream PROTOCOL_ERROR`},
		"no :status":         {"GET", func(w *wire) { w.head(1, true, "a", "b") }, "stream PROTOCOL_ERROR"},
		":status of 2":       {"GET", func(w *wire) { w.head(1, true, ":status", "20") }, "stream PROTOCOL_ERROR"},
		":status and :path":  {"GET", func(w *wire) { w.head(1, true, ":status", "200", ":path", "/") }, "stream PROTOCOL_ERROR"},
		"101":                {"GET", func(w *wire) { w.head(1, false, ":status", "101") }, "stream PROTOCOL_ERROR"},
		"interim that ends":  {"GET", func(w *wire) { w.head(1, true, ":status", "100") }, "stream PROTOCOL_ERROR"},
		"connection":         {"GET", func(w *wire) { w.head(1, true, ":status", "200", "connection", "close") }, "stream PROTOCOL_ERROR"},
		"upper case":         {"GET", func(w *wire) { w.head(1, true, ":status", "200", "Server", "x") }, "stream PROTOCOL_ERROR"},
		"LF":                 {"GET", func(w *wire) { w.head(1, true, ":status", "200", "a", "b\nc") }, "stream PROTOCOL_ERROR"},
		"content first":      {"GET", func(w *wire) { w.fr.WriteData(1, true, []byte("x")) }, "stream PROTOCOL_ERROR"},
		"many fields":        {"GET", func(w *wire) { w.head(1, true, append([]string{":status", "200"}, make300()...)...) }, "stream ENHANCE_YOUR_CALM"},
		"endless interims":   {"GET", func(w *wire) { interims(w, 40) }, strings.Repeat("103/-1 ", 32) + "stream ENHANCE_YOUR_CALM"},
		"reset":              {"GET", func(w *wire) { w.fr.WriteRSTStream(1, http2.ErrCodeInternal) }, "stream INTERNAL_ERROR"},
		"refused":            {"GET", func(w *wire) { w.fr.WriteRSTStream(1, http2.ErrCodeRefusedStream) }, "not processed"},
		"goaway":             {"GET", func(w *wire) { w.fr.WriteGoAway(0, http2.ErrCodeNo, nil) }, "not processed"},
		"goaway, then close": {"GET", func(w *wire) { w.fr.WriteGoAway(1, http2.ErrCodeInternal, nil); w.Close() }, "connection INTERNAL_ERROR"},
		"close":              {"GET", func(w *wire) { w.Close() }, "unexpected EOF"},
		"cut content": {"GET", func(w *wire) {
			w.head(1, false, ":status", "200")
			w.Write([]byte{0, 0, 9, 0, 1, 0, 0, 0, 1, 'a', 'b'})
			w.Close()
		}, `200/-1 "" unexpected EOF`},
		"push":          {"GET", func(w *wire) { w.fr.WriteRawFrame(http2.FramePushPromise, 4, 1, []byte{0, 0, 0, 2}) }, "connection PROTOCOL_ERROR"},
		"idle stream":   {"GET", func(w *wire) { w.head(3, true, ":status", "200") }, "connection PROTOCOL_ERROR"},
		"even stream":   {"GET", func(w *wire) { w.head(2, true, ":status", "200") }, "connection PROTOCOL_ERROR"},
		"push allowed":  {"GET", func(w *wire) { w.fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 1}) }, "connection PROTOCOL_ERROR"},
		"flood":         {"GET", func(w *wire) { w.many(calmBurst*3, func() { w.fr.WritePing(false, [8]byte{}) }) }, "connection ENHANCE_YOUR_CALM"},
		"window":        {"GET", func(w *wire) { w.head(1, false, ":status", "200"); w.flood(clientWindow + 1) }, `200/-1 "" stream FLOW_CONTROL_ERROR`},
		"HEADERS later": {"GET", func(w *wire) { w.head(1, true, ":status", "200"); w.head(1, true, "a", "b") }, `200/0 ""`},
	} {
		t.Run(name, func(t *testing.T) {
			w, cl := atClient(t, Config{})
			s := get(t, cl, c.method)
			w.until("the request", func(f http2.Frame) bool { _, ok := f.(*http2.MetaHeadersFrame); return ok })
			sent := make(chan bool)
			go func() { c.send(w); close(sent) }()
			if name == "endless interims" || name == "cut content" || strings.Contains(c.want, `"" stream`) {
				eventually(t, "the error", func() bool { return s.Err() != nil })
			}
			if c.want == "connection PROTOCOL_ERROR" {
				w.until("GOAWAY", func(f http2.Frame) bool {
					g, ok := f.(*http2.GoAwayFrame)
					return ok && g.ErrCode == http2.ErrCodeProtocol
				})
			}
			if got := answer(s); got != c.want {
				t.Errorf("%s; wanted %s", got, c.want)
			}
			cl.Close()
			w.Close()
			<-sent
		})
	}
}

func (w *wire) many(n int, send func()) {
	for range n {
		send()
	}
}

func (w *wire) flood(n int) {
	for ; n > 0; n -= 16 << 10 {
		w.fr.WriteData(1, false, make([]byte, min(n, 16<<10)))
	}
}

func interims(w *wire, n int) {
	w.many(n, func() { w.head(1, false, ":status", "103") })
}

func make300() (fields []string) {
	for i := range 300 {
		fields = append(fields, fmt.Sprint("x-", i), "y")
	}
	return fields
}

// What a caller may send again elsewhere.
func TestNotSent(t *testing.T) {
	w, cl := atClient(t, Config{}, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 2})
	eventually(t, "the server's limit", func() bool { cl.mu.Lock(); defer cl.mu.Unlock(); return cl.peer.streams == 2 })
	open := func() error {
		s, err := cl.Open(Head{Method: "GET", Scheme: "https", Authority: "a", Path: "/"}, true)
		if err == nil {
			t.Cleanup(func() { s.Close() })
		}
		return err
	}
	for range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrNotProcessed) || !cl.Usable() || cl.Room() != 2 || cl.Streams() != 2 {
		t.Errorf("over the server's limit: %v, usable %v, %d streams", err, cl.Usable(), cl.Streams())
	}
	for _, h := range []Head{
		{Method: "G T", Scheme: "https", Path: "/"}, {Method: "GET", Path: "/"}, {Method: "GET", Scheme: "https"},
		{Method: "GET", Scheme: "https", Path: "/ "}, {Method: "GET", Scheme: "https", Path: "/", Authority: "a\n"},
		{Method: "CONNECT", Path: "/"},
	} {
		if _, err := cl.Open(h, true); !errors.Is(err, ErrNotSent) {
			t.Errorf("%+v: %v", h, err)
		}
	}
	w.head(1, true, ":status", "200")
	w.fr.WriteGoAway(3, http2.ErrCodeNo, nil)
	eventually(t, "the stream's end and GOAWAY", func() bool { return cl.Streams() == 1 && !cl.Usable() })
	if err := open(); !errors.Is(err, ErrNotSent) {
		t.Errorf("after GOAWAY: %v", err)
	}
	w.head(3, true, ":status", "200")
	eventually(t, "the connection's end", func() bool { return cl.Err() != nil })
	if err := open(); !errors.Is(err, ErrNotSent) || cl.Usable() {
		t.Errorf("after the end: %v", err)
	}
}

// A request that was still in the buffer when the connection ended was not sent;
// one that went out was perhaps.
func TestCutBeforeSent(t *testing.T) {
	a, b := net.Pipe() // takes nothing that is not read
	go io.CopyN(io.Discard, b, int64(len(preface)))
	var cl *Client
	made := make(chan bool)
	go func() { cl, _ = NewClient(a, Config{}); close(made) }()
	w := newWire(t, b)
	time.Sleep(10 * time.Millisecond)
	w.until("WINDOW_UPDATE", func(f http2.Frame) bool { _, ok := f.(*http2.WindowUpdateFrame); return ok })
	<-made
	first := make(chan *Stream, 1)
	go func() { first <- get(t, cl, "GET") }() // waits in the write
	eventually(t, "the write", func() bool { cl.mu.Lock(); defer cl.mu.Unlock(); return cl.out.since != 0 })
	second := get(t, cl, "GET")
	w.Close()
	if got := answer(second); got != "not sent" {
		t.Errorf("in the buffer: %s", got)
	}
	if got := answer(<-first); got == "not sent" || got == "not processed" {
		t.Errorf("in the write: %s", got)
	}
	eventually(t, "closed", func() bool { return cl.Err() != nil })
}

// Extended CONNECT (RFC 8441), our client with our server.
func TestExtendedConnect(t *testing.T) {
	handle := func(s *Stream) {
		h := s.Head()
		if h.Method != "CONNECT" || h.Protocol != "websocket" || h.Path != "/chat" || h.Length != -1 {
			s.Respond(400, nil, true)
			return
		}
		echo(s)
	}
	w := newSite(t, Config{Extended: true}, handle)
	cl := dial(t, w.ln.Addr().String(), Config{})
	s, err := cl.Open(Head{Method: "CONNECT", Scheme: "https", Authority: "a", Path: "/chat", Protocol: "websocket"}, false)
	if err != nil || !cl.PeerExtended() {
		t.Fatal(err)
	}
	defer s.Close()
	s.Flush()
	h, err := s.ReadHead()
	if err != nil || h.Status != 200 || h.Length != -1 {
		t.Fatal(h, err)
	}
	for i := range 10 {
		fmt.Fprintf(s, "message %d", i)
		s.Flush()
		buf := make([]byte, 100)
		n, err := io.ReadFull(s, buf[:9])
		if err != nil || string(buf[:n]) != fmt.Sprintf("message %d", i) {
			t.Fatal(string(buf[:n]), err)
		}
	}
	s.End(nil)
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	w = newSite(t, Config{}, handle)
	cl = dial(t, w.ln.Addr().String(), Config{})
	if _, err := cl.Open(Head{Method: "CONNECT", Scheme: "https", Authority: "a", Path: "/chat", Protocol: "websocket"}, false); !errors.Is(err, ErrNotSent) || err != ErrNotExtended {
		t.Error(err)
	}
}

// A server that never sends its SETTINGS does not hold an extended CONNECT.
func TestExtendedSilence(t *testing.T) {
	a, b := pair(t)
	cl, err := NewClient(a, Config{Stall: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := cl.Open(Head{Method: "CONNECT", Scheme: "https", Authority: "a", Path: "/", Protocol: "websocket"}, false); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	eventually(t, "the connection's end", func() bool { return cl.Err() != nil })
	b.Close()
}

// An answer that is complete is read to its end although the server resets the
// rest of the request (RFC 9113 §8.1), or the connection ends.
func TestEarlyAnswer(t *testing.T) {
	w, cl := atClient(t, Config{})
	s, err := cl.Open(Head{Method: "POST", Scheme: "https", Authority: "a", Path: "/"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	io.WriteString(s, "part")
	s.Flush()
	w.head(1, false, ":status", "200")
	w.fr.WriteData(1, true, []byte("early"))
	w.fr.WriteRSTStream(1, http2.ErrCodeNo)
	w.Close()
	eventually(t, "the reset", func() bool { return s.Err() != nil })
	if got := answer(s); got != `200/-1 "early"` {
		t.Error(got)
	}
	if _, err := s.Write([]byte("more")); err == nil {
		t.Error("a write after the reset")
	}
}

// The server of ours resets the request that it answered early.
func TestEarlyAnswerResets(t *testing.T) {
	w := greeted(t, Config{}, func(s *Stream) { s.Respond(200, nil, true) })
	id := w.open(false, post()...)
	w.until("the end of the answer", func(f http2.Frame) bool {
		h, ok := f.(*http2.MetaHeadersFrame)
		return ok && h.StreamEnded()
	})
	w.until("RST_STREAM", func(f http2.Frame) bool {
		r, ok := f.(*http2.RSTStreamFrame)
		return ok && r.StreamID == id && r.ErrCode == http2.ErrCodeNo
	})
	w.fr.WriteData(id, true, []byte("late"))
	w.works()
}
