package h2

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// script is a connection that gives bytes and takes all that is written.
type script struct {
	in     *bytes.Reader
	piece  int // how much a read gives at most
	mu     sync.Mutex
	out    bytes.Buffer
	closed bool
}

func (s *script) Read(p []byte) (int, error) {
	return s.in.Read(p[:min(len(p), s.piece)])
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	return s.out.Write(p)
}

func (s *script) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return nil
}

func (s *script) LocalAddr() net.Addr              { return nil }
func (s *script) RemoteAddr() net.Addr             { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// sound checks that a stream holds no more than its window.
func sound(t *testing.T, s *Stream) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	holds, window := s.recv+s.owed+int64(s.in.n), s.window
	if !s.c.ours.acked {
		window += firstWindow - s.c.ours.window
	}
	most := int64(serverGrowth)
	if s.c.client {
		most = clientGrowth
	}
	if s.err == nil && !s.over && (holds > window || s.in.n > int(max(window, firstWindow)) || s.c.grown > most || s.c.grown < 0) {
		t.Errorf("a stream holds %d with a window of %d, and all have grown by %d", holds, window, s.c.grown)
	}
}

// frames are seeds: what write does, behind the client's preface or not.
func frames(write func(w *http2.Framer, block func(...string) []byte)) []byte {
	var out, head bytes.Buffer
	fr := http2.NewFramer(&out, nil)
	fr.AllowIllegalWrites = true
	enc := hpack.NewEncoder(&head)
	fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	fr.WriteSettingsAck()
	write(fr, func(fields ...string) []byte {
		head.Reset()
		for i := 0; i < len(fields); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
		}
		return bytes.Clone(head.Bytes())
	})
	return out.Bytes()
}

func FuzzServer(f *testing.F) {
	f.Add(uint16(1000), frames(func(w *http2.Framer, block func(...string) []byte) {
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(getHead...), EndHeaders: true, EndStream: true})
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block(post("content-length", "5")...), EndHeaders: true})
		w.WriteDataPadded(3, false, []byte("abc"), []byte("pad"))
		w.WriteData(3, false, []byte("de"))
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: block("x-trailer", "y"), EndHeaders: true, EndStream: true})
		w.WriteWindowUpdate(0, 1000)
		w.WriteWindowUpdate(1, 1000)
		w.WritePing(false, [8]byte{})
	}))
	f.Add(uint16(7), frames(func(w *http2.Framer, block func(...string) []byte) {
		b := block(getHead...)
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:3], Priority: http2.PriorityParam{Weight: 1}, PadLength: 3})
		w.WriteContinuation(1, true, b[3:])
		w.WriteRSTStream(1, http2.ErrCodeCancel)
		w.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
		w.WritePriority(5, http2.PriorityParam{StreamDep: 1})
		w.WriteGoAway(0, http2.ErrCodeNo, []byte("bye"))
	}))
	f.Fuzz(func(t *testing.T, piece uint16, in []byte) {
		c := &script{in: bytes.NewReader(append([]byte(preface), in...)), piece: int(piece) + 1}
		s := NewServer(c, Config{MaxStreams: 10, HeadBytes: 2000, Extended: true}, func(s *Stream) {
			sound(t, s)
			s.Respond(200, s.Head().Header, false)
			buf := make([]byte, 100)
			for {
				n, err := s.Read(buf)
				sound(t, s)
				if _, werr := s.Write(buf[:n]); werr != nil {
					return
				}
				if err == io.EOF {
					s.End(s.Trailer())
				}
				if err != nil {
					return
				}
			}
		})
		inTime(t, func() { s.Serve() })
		readable(t, &c.out)
	})
}

func FuzzClient(f *testing.F) {
	f.Add(uint16(1000), frames(func(w *http2.Framer, block func(...string) []byte) {
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(":status", "103", "link", "x"), EndHeaders: true})
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(":status", "200", "content-length", "5"), EndHeaders: true})
		w.WriteDataPadded(1, false, []byte("abc"), []byte("pad"))
		w.WriteData(1, false, []byte("de"))
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block("x-trailer", "y"), EndHeaders: true, EndStream: true})
		w.WriteWindowUpdate(0, 1000)
		w.WriteRSTStream(1, http2.ErrCodeNo)
		w.WriteGoAway(1, http2.ErrCodeNo, []byte("bye"))
	}))
	f.Fuzz(func(t *testing.T, piece uint16, in []byte) {
		c := &script{in: bytes.NewReader(in), piece: int(piece) + 1}
		cl, err := NewClient(c, Config{HeadBytes: 2000})
		if err != nil {
			return
		}
		defer cl.Close()
		s, err := cl.Open(Head{Method: "POST", Scheme: "https", Authority: "a", Path: "/"}, false)
		if err != nil {
			return
		}
		defer s.Close()
		inTime(t, func() {
			var wg sync.WaitGroup
			wg.Add(1)
			go func() {
				defer wg.Done()
				s.Write(make([]byte, 70_000))
				s.End(nil)
			}()
			for {
				if h, err := s.ReadHead(); err != nil || h.Status >= 200 {
					break
				}
			}
			buf := make([]byte, 100)
			for err = nil; err == nil; _, err = s.Read(buf) {
				sound(t, s)
			}
			if err != io.EOF && s.Trailer() != nil {
				t.Error("a trailer section without the end")
			}
			<-cl.ended
			wg.Wait()
		})
	})
}

func inTime(t *testing.T, f func()) {
	done := make(chan bool)
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it hangs")
	}
}

// readable checks what we wrote: the other implementation reads it all.
func readable(t *testing.T, out *bytes.Buffer) {
	fr := http2.NewFramer(nil, out)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		if _, err := fr.ReadFrame(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
