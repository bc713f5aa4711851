package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// bothWays is the shape of a stream of either side's messages.
var bothWays = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// A grpcCase is a client's connection to the origin.
type grpcCase struct {
	*grpcOrigin
	*grpc.ClientConn
	reload func(*testing.T) // of the proxy's table
	ctx    context.Context
}

// asGRPC runs the test with a connection that goes straight to the origin, which
// shows that the test can pass, and with one through the proxy.
func asGRPC(t *testing.T, test func(t *testing.T, c *grpcCase)) {
	for _, way := range []string{"direct", "proxy"} {
		t.Run(way, func(t *testing.T) {
			g := serveGRPC(t)
			c := &grpcCase{grpcOrigin: g, reload: func(*testing.T) {}}
			trust, dial := g.signer.pool, new(net.Dialer).DialContext
			if way == "proxy" {
				p := g.proxy(t)
				trust, c.reload = p.bottle.pool, p.reload
				dial = func(ctx context.Context, _, addr string) (net.Conn, error) { return p.connect(ctx, addr) }
			}
			var err error
			c.ClientConn, err = grpc.NewClient("passthrough:///"+g.authority(),
				grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: trust})),
				grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dial(ctx, "tcp", addr) }),
				grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(most), grpc.MaxCallSendMsgSize(most)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			var cancel context.CancelFunc
			c.ctx, cancel = context.WithTimeout(t.Context(), limit)
			defer cancel()
			test(t, c)
		})
	}
}

// stream opens a stream of the method.
func (c *grpcCase) stream(t *testing.T, ctx context.Context, method string) grpc.ClientStream {
	t.Helper()
	s, err := c.NewStream(ctx, bothWays, method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, s grpc.ClientStream, text string) {
	t.Helper()
	if err := s.SendMsg(wrapperspb.Bytes([]byte(text))); err != nil {
		t.Fatalf("sending %.20q: %v", text, err)
	}
}

func wantMsg(t *testing.T, s grpc.ClientStream, text string) {
	t.Helper()
	var m wrapperspb.BytesValue
	if err := s.RecvMsg(&m); err != nil {
		t.Fatalf("wanted %.20q; got %v", text, err)
	}
	if string(m.Value) != text {
		t.Fatalf("wanted %.20q; got %.20q of %d bytes", text, m.Value, len(m.Value))
	}
}

func wantEnd(t *testing.T, s grpc.ClientStream) {
	t.Helper()
	if err := s.RecvMsg(new(wrapperspb.BytesValue)); err != io.EOF {
		t.Fatalf("wanted the end; got %v", err)
	}
}

// wantLast checks the trailer that the origin's methods set.
func wantLast(t *testing.T, trailer metadata.MD, method string) {
	t.Helper()
	if got := trailer.Get("x-last"); len(got) != 1 || got[0] != "of "+method {
		t.Errorf("the trailer x-last: %q", got)
	}
	if got := trailer.Get("x-last-bin"); len(got) != 1 || got[0] != "\x00\xff\n" {
		t.Errorf("the trailer x-last-bin: %q", got)
	}
}

func TestUnary(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		ctx := metadata.AppendToOutgoingContext(c.ctx, "x-asked", "one", "x-asked", "two", "x-asked-bin", "\x00\x01")
		var header, trailer metadata.MD
		for i := range 20 {
			text := fmt.Sprintf("message %d", i)
			var got wrapperspb.BytesValue
			err := c.Invoke(ctx, methodEcho, wrapperspb.Bytes([]byte(text)), &got, grpc.Header(&header), grpc.Trailer(&trailer))
			if err != nil || string(got.Value) != text {
				t.Fatalf("%v %q", err, got.Value)
			}
			wantLast(t, trailer, methodEcho)
			if seen := header.Get("x-seen"); len(seen) != 2 || seen[0] != "one" || seen[1] != "two" {
				t.Errorf("x-asked came as %q", seen)
			}
			if seen := header.Get("x-seen-bin"); len(seen) != 1 || seen[0] != "\x00\x01" {
				t.Errorf("x-asked-bin came as %q", seen)
			}
		}
	})
}

func TestServerStream(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		s := c.stream(t, c.ctx, methodCount)
		send(t, s, "1000")
		s.CloseSend()
		for i := range 1000 {
			wantMsg(t, s, fmt.Sprint(i))
		}
		wantEnd(t, s)
		wantLast(t, s.Trailer(), methodCount)
	})
}

func TestClientStream(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		s := c.stream(t, c.ctx, methodSum)
		for range 1000 {
			send(t, s, strings.Repeat("x", 1000))
		}
		s.CloseSend()
		wantMsg(t, s, "1000000")
		wantEnd(t, s)
		wantLast(t, s.Trailer(), methodSum)
	})
}

// TestChat: each side waits for the other's message before it sends one, so
// that whatever a proxy holds back stops both.
func TestChat(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		s := c.stream(t, c.ctx, methodChat)
		for i := range 200 {
			text := fmt.Sprintf("turn %d", i)
			send(t, s, text)
			wantMsg(t, s, text)
		}
		s.CloseSend()
		wantEnd(t, s)
		wantLast(t, s.Trailer(), methodChat)
	})
}

func wantFailure(t *testing.T, err error, when string) {
	t.Helper()
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.FailedPrecondition || st.Message() != "100 % wrong, "+when+": ünïcode\n" {
		t.Fatalf("wanted the origin's failure %s; got %v", when, err)
	}
	for _, d := range st.Details() {
		if s, ok := d.(*wrapperspb.StringValue); ok && s.Value == "the detail" {
			return
		}
	}
	t.Errorf("the status lost its detail: %v", st.Details())
}

func TestTrailersOnly(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		var trailer metadata.MD
		err := c.Invoke(c.ctx, methodFail, wrapperspb.Bytes(nil), new(wrapperspb.BytesValue), grpc.Trailer(&trailer))
		wantFailure(t, err, "before any answer")
		wantLast(t, trailer, methodFail)
	})
}

func TestFailureInStream(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		s := c.stream(t, c.ctx, methodBreak)
		wantMsg(t, s, "before the fault")
		wantMsg(t, s, "before the fault")
		wantFailure(t, s.RecvMsg(new(wrapperspb.BytesValue)), "after two messages")
		wantLast(t, s.Trailer(), methodBreak)
	})
}

// promptly is how soon an origin has to learn that its client left.
const promptly = 2 * time.Second

func (g *grpcOrigin) wantLeft(t *testing.T) {
	t.Helper()
	select {
	case err := <-g.hung:
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the origin's call ended with %v", err)
		}
	case <-time.After(promptly):
		t.Errorf("the origin does not know after %v that the client left", promptly)
	}
}

func TestDeadline(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		ctx, cancel := context.WithTimeout(c.ctx, 500*time.Millisecond)
		defer cancel()
		err := c.stream(t, ctx, methodHang).RecvMsg(new(wrapperspb.BytesValue))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		c.wantLeft(t)
	})
}

func TestCancel(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		ctx, cancel := context.WithCancel(c.ctx)
		defer cancel()
		s := c.stream(t, ctx, methodHang)
		if _, err := s.Header(); err != nil { // the origin is at it
			t.Fatal(err)
		}
		other := c.stream(t, c.ctx, methodChat)
		cancel()
		c.wantLeft(t)
		send(t, other, "of the same connection")
		wantMsg(t, other, "of the same connection")
	})
}

func TestLargeMessages(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		text := string(bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16))
		s := c.stream(t, c.ctx, methodChat)
		for range 3 {
			send(t, s, text)
			wantMsg(t, s, text)
		}
	})
}

// TestHundredStreams has all streams open before any goes on.
func TestHundredStreams(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		const n = 100
		errs := make(chan error, n)
		var open sync.WaitGroup
		open.Add(n)
		for i := range n {
			go func() { errs <- c.chatOnce(i, &open) }()
		}
		for range n {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func (c *grpcCase) chatOnce(i int, open *sync.WaitGroup) error {
	s, err := c.NewStream(c.ctx, bothWays, methodChat)
	for turn := range 10 {
		text := fmt.Sprintf("stream %d turn %d", i, turn)
		var m wrapperspb.BytesValue
		if err == nil {
			err = s.SendMsg(wrapperspb.Bytes([]byte(text)))
		}
		if err == nil {
			err = s.RecvMsg(&m)
		}
		if turn == 0 {
			open.Done()
			open.Wait()
		}
		if err != nil || string(m.Value) != text {
			return fmt.Errorf("%s: %v %q", text, err, m.Value)
		}
	}
	return s.CloseSend()
}

func TestStreamOutlivesReloads(t *testing.T) {
	asGRPC(t, func(t *testing.T, c *grpcCase) {
		s := c.stream(t, c.ctx, methodChat)
		for i := range 20 {
			send(t, s, fmt.Sprint(i))
			wantMsg(t, s, fmt.Sprint(i))
			c.reload(t)
		}
		s.CloseSend()
		wantEnd(t, s)
		wantLast(t, s.Trailer(), methodChat)
	})
}
