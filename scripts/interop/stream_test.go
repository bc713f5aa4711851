package interop

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A rawStream is one request on an HTTP/2 connection, spoken in frames: no
// client of Go's sends an extended CONNECT.
type rawStream struct {
	*testing.T
	write sync.Mutex // one frame after the other
	fr    *http2.Framer

	mu       sync.Mutex
	change   sync.Cond
	settings map[http2.SettingID]uint32 // nil until they came
	heads    []map[string]string
	data     bytes.Buffer
	mine     int64 // what may be sent on the stream
	all      int64 // and on the connection
	end      error
}

// openStream begins HTTP/2 on c, with windows that never close on our side.
func openStream(t *testing.T, c net.Conn) *rawStream {
	t.Helper()
	c.SetDeadline(time.Now().Add(2 * limit))
	s := &rawStream{T: t, fr: http2.NewFramer(c, c), mine: 65535, all: 65535}
	s.change.L = &s.mu
	s.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	const wide = 1 << 30
	io.WriteString(c, http2.ClientPreface)
	s.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: wide})
	s.fr.WriteWindowUpdate(0, wide)
	go s.readAll()
	return s
}

// readAll takes up frames until the connection ends.
func (s *rawStream) readAll() {
	for {
		f, err := s.fr.ReadFrame()
		s.mu.Lock()
		if err == nil {
			err = s.take(f)
		}
		s.end = err
		s.change.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *rawStream) take(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return s.takeSettings(f)
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			s.all += int64(f.Increment)
			return nil
		}
		s.mine += int64(f.Increment)
	case *http2.MetaHeadersFrame:
		head := map[string]string{}
		for _, field := range f.Fields {
			head[field.Name] = field.Value
		}
		s.heads = append(s.heads, head)
	case *http2.DataFrame:
		s.data.Write(f.Data())
	case *http2.RSTStreamFrame:
		return fmt.Errorf("RST_STREAM: %v", f.ErrCode)
	case *http2.GoAwayFrame:
		return fmt.Errorf("GOAWAY: %v", f.ErrCode)
	case *http2.PingFrame:
		if !f.IsAck() {
			s.write.Lock()
			defer s.write.Unlock()
			return s.fr.WritePing(true, f.Data)
		}
	}
	return nil
}

func (s *rawStream) takeSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if s.settings == nil {
		s.settings = map[http2.SettingID]uint32{http2.SettingInitialWindowSize: 65535}
	}
	f.ForeachSetting(func(v http2.Setting) error {
		if v.ID == http2.SettingInitialWindowSize {
			s.mine += int64(v.Val) - int64(s.settings[v.ID])
		}
		s.settings[v.ID] = v.Val
		return nil
	})
	s.write.Lock()
	defer s.write.Unlock()
	return s.fr.WriteSettingsAck()
}

// until waits for done, or the end of the connection.
func (s *rawStream) until(done func() bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if s.end != nil {
			return s.end
		}
		s.change.Wait()
	}
	return nil
}

// wantExtendedConnect waits for the server's settings, which have to offer
// extended CONNECT (RFC 8441 §3).
func (s *rawStream) wantExtendedConnect() {
	s.Helper()
	offered := false
	err := s.until(func() bool {
		offered = s.settings[http2.SettingEnableConnectProtocol] == 1
		return s.settings != nil
	})
	if err != nil || !offered {
		s.Fatalf("the settings lack SETTINGS_ENABLE_CONNECT_PROTOCOL: %v %v", s.settings, err)
	}
}

// ask begins the request with the fields, names and values in turn.
func (s *rawStream) ask(fields ...string) {
	s.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		s.Fatal(err)
	}
}

// head is the head of the answer.
func (s *rawStream) head() (head map[string]string, err error) {
	err = s.until(func() bool {
		if len(s.heads) > 0 {
			head = s.heads[0]
		}
		return head != nil
	})
	return head, err
}

// Read reads the answer's content.
func (s *rawStream) Read(p []byte) (n int, err error) {
	err = s.until(func() bool {
		n, _ = s.data.Read(p)
		return n > 0
	})
	return n, err
}

// Write sends content, as fast as the windows allow.
func (s *rawStream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := 0
		err := s.until(func() bool {
			part = int(min(s.mine, s.all, 16384, int64(len(p)-n)))
			if part > 0 {
				s.mine -= int64(part)
				s.all -= int64(part)
			}
			return part > 0
		})
		if err != nil {
			return n, err
		}
		s.write.Lock()
		err = s.fr.WriteData(1, false, p[n:n+part])
		s.write.Unlock()
		if err != nil {
			return n, err
		}
		n += part
	}
	return n, nil
}
