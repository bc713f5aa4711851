package h2

import (
	"context"
	"errors"
	"io"
	"testing"

	"bottle/pkg/http1"

	"golang.org/x/net/http2"
)

// Content in small frames that was under way when its stream was reset does not
// end the connection for the other streams.
func TestLateSmallFrames(t *testing.T) {
	w, cl := atClient(t, Config{})
	s, other := get(t, cl, "GET"), get(t, cl, "GET")
	w.head(1, false, ":status", "200")
	w.fr.WriteData(1, false, []byte("x"))
	if _, err := s.ReadHead(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	w.many(3000, func() { w.fr.WriteData(1, false, []byte("01234567890123456789")) }) // 60 kB, within the window
	w.head(3, true, ":status", "200")
	if got := answer(other); got != `200/0 ""` {
		t.Error(got)
	}
}

// The field that Secret names is sent as one that no table on the way may keep,
// as are the usual credentials, and as any other where Secret does not name it.
func TestSecretField(t *testing.T) {
	w, cl := atClient(t, Config{})
	for _, secret := range []string{"X-Api-Key", ""} {
		h := asking("/")
		h.Secret = secret
		h.Header = http1.Header{{Name: "X-Api-Key", Value: "k"}, {Name: "Authorization", Value: "a"}, {Name: "Cookie", Value: "c"}, {Name: "Other", Value: "o"}}
		s, err := cl.Open(h, true)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want := map[string]bool{"x-api-key": secret != "", "authorization": true, "cookie": true, "other": false}
		w.until("the request", func(f http2.Frame) bool {
			m, ok := f.(*http2.MetaHeadersFrame)
			if !ok {
				return false
			}
			for _, f := range m.RegularFields() {
				if never, known := want[f.Name]; !known || f.Sensitive != never {
					t.Errorf("Secret %q: %s: sensitive %v; wanted %v", secret, f.Name, f.Sensitive, never)
				}
				delete(want, f.Name)
			}
			return true
		})
		if len(want) > 0 {
			t.Errorf("not sent: %v", want)
		}
	}
}

// ungreeted is a client of ours whose server has sent no SETTINGS.
func ungreeted(t *testing.T, cfg Config) (*wire, *Client) {
	a, b := pair(t)
	cl, err := NewClient(a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return newWire(t, b), cl
}

// What waits for the server's SETTINGS ends with its context, whose cause is the
// error.
func TestAwaitEndsWithContext(t *testing.T) {
	_, cl := ungreeted(t, Config{})
	why := errors.New("why")
	extended := asking("/")
	extended.Method, extended.Protocol = "CONNECT", "websocket"
	for name, wait := range map[string]func(context.Context) error{
		"AwaitSettings": cl.AwaitSettings,
		"OpenContext":   func(ctx context.Context) error { _, err := cl.OpenContext(ctx, extended, false); return err },
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- wait(ctx) }()
		cancel(why)
		if err := <-ended; !errors.Is(err, why) {
			t.Errorf("%s: %v; wanted the cause", name, err)
		}
	}
}

// Room is what both sides allow: its own limit before the server's SETTINGS, and
// then the lower one.
func TestRoom(t *testing.T) {
	w, cl := ungreeted(t, Config{MaxStreams: 50})
	if n := cl.Room(); n != 50 {
		t.Errorf("before SETTINGS: %d; wanted 50", n)
	}
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 3})
	if err := cl.AwaitSettings(t.Context()); err != nil || cl.Room() != 3 {
		t.Errorf("%d %v; wanted 3", cl.Room(), err)
	}
	w.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000})
	eventually(t, "50 again", func() bool { return cl.Room() == 50 })
}

// AwaitSettings does not go on waiting after the connection's end.
func TestAwaitEndsWithConnection(t *testing.T) {
	w, cl := ungreeted(t, Config{})
	w.Close()
	if err := cl.AwaitSettings(t.Context()); err != nil || cl.Err() == nil {
		t.Errorf("%v; the connection: %v", err, cl.Err())
	}
}
