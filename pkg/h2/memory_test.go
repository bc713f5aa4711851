package h2

import (
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/net/http2"
)

// held is the memory of the program's objects and stacks.
func held() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A connection that has served and now waits, without a stream or with one that
// waits, holds no buffers.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector holds memory of its own")
	}
	const conns = 300
	request := frames(func(w *http2.Framer, block func(...string) []byte) {
		head := append(getHead[:8:8], "user-agent", "a client with a name", "accept", "*/*", "cookie", "a=b")
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(head...), EndHeaders: true, EndStream: true})
		w.WritePing(false, [8]byte{})
	})
	waiting := frames(func(w *http2.Framer, block func(...string) []byte) {
		head := append(post(), "user-agent", "a client with a name", "accept", "*/*", "cookie", "a=b")
		w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block(head...), EndHeaders: true})
		w.WriteData(1, false, []byte("a part"))
		w.WritePing(false, [8]byte{})
	})
	for name, c := range map[string]struct {
		in   []byte
		most int64
	}{"idle": {request, 12 << 10}, "a stream": {waiting, 20 << 10}} {
		before := held()
		var peers []net.Conn
		for range conns {
			a, b := pair(t)
			s := NewServer(b, Config{}, func(s *Stream) {
				var p [64]byte
				for err := error(nil); err == nil; _, err = s.Read(p[:]) {
				}
				s.Respond(200, nil, true)
			})
			go s.Serve()
			t.Cleanup(s.Close)
			io.WriteString(a, preface)
			a.Write(c.in)
			peers = append(peers, a)
		}
		for _, a := range peers { // until the ping is answered
			w := newWire(t, a)
			w.until("PING", func(f http2.Frame) bool { _, ok := f.(*http2.PingFrame); return ok })
			*w = wire{}
		}
		eventually(t, "buffers to be given back", func() bool { return (held()-before)/conns < c.most })
		t.Logf("%s: %d bytes each", name, (held()-before)/conns)
		for _, a := range peers {
			a.Close()
		}
		runtime.KeepAlive(peers)
	}
}
