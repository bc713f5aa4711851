package interop

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The service of the gRPC origin. Every message is a BytesValue.
const (
	methodEcho  = "/interop.Test/Echo"  // unary: answers what it got
	methodCount = "/interop.Test/Count" // server stream: "0", "1", ... below what it got
	methodSum   = "/interop.Test/Sum"   // client stream: how many bytes came
	methodChat  = "/interop.Test/Chat"  // both ways: answers each message when it comes
	methodFail  = "/interop.Test/Fail"  // fails before any answer: trailers only
	methodBreak = "/interop.Test/Break" // fails after two messages
	methodHang  = "/interop.Test/Hang"  // answers the head and waits for the client to leave
)

// most is above the largest message that the tests send.
const most = 8 << 20

// A grpcOrigin is what the origin noted of its clients.
type grpcOrigin struct {
	*origin
	hung chan error // why each call of Hang ended
}

func serveGRPC(t *testing.T) *grpcOrigin {
	t.Helper()
	ln, o := listenOrigin(t)
	g := &grpcOrigin{o, make(chan error, 256)}
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(o.tls(t))), grpc.UnknownServiceHandler(g.serve),
		grpc.MaxRecvMsgSize(most), grpc.MaxSendMsgSize(most))
	go srv.Serve(ln)
	t.Cleanup(srv.Stop)
	return g
}

// serve is every method: a unary call is a stream of one message each way.
func (g *grpcOrigin) serve(_ any, s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	md, _ := metadata.FromIncomingContext(s.Context())
	s.SetHeader(metadata.MD{"x-seen": md.Get("x-asked"), "x-seen-bin": md.Get("x-asked-bin")})
	s.SetTrailer(metadata.Pairs("x-last", "of "+method, "x-last-bin", "\x00\xff\n"))
	switch method {
	case methodEcho:
		return answerEach(s, 1)
	case methodChat:
		return answerEach(s, 1<<30)
	case methodCount:
		return count(s)
	case methodSum:
		return sum(s)
	case methodFail:
		return failure("before any answer")
	case methodBreak:
		return sendTwoAndFail(s)
	case methodHang:
		return g.hang(s)
	}
	return status.Error(codes.Unimplemented, method)
}

func answerEach(s grpc.ServerStream, n int) error {
	for range n {
		var m wrapperspb.BytesValue
		if err := s.RecvMsg(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(&m); err != nil {
			return err
		}
	}
	return nil
}

func count(s grpc.ServerStream) error {
	var m wrapperspb.BytesValue
	if err := s.RecvMsg(&m); err != nil {
		return err
	}
	n, err := strconv.Atoi(string(m.Value))
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	for i := range n {
		if err := s.SendMsg(wrapperspb.Bytes([]byte(strconv.Itoa(i)))); err != nil {
			return err
		}
	}
	return nil
}

func sum(s grpc.ServerStream) error {
	n := 0
	for {
		var m wrapperspb.BytesValue
		if err := s.RecvMsg(&m); err == io.EOF {
			return s.SendMsg(wrapperspb.Bytes([]byte(strconv.Itoa(n))))
		} else if err != nil {
			return err
		}
		n += len(m.Value)
	}
}

// failure is a status with characters that gRPC has to encode, and a detail.
func failure(when string) error {
	st, err := status.New(codes.FailedPrecondition, "100 % wrong, "+when+": ünïcode\n").WithDetails(wrapperspb.String("the detail"))
	if err != nil {
		return err
	}
	return st.Err()
}

func sendTwoAndFail(s grpc.ServerStream) error {
	for range 2 {
		if err := s.SendMsg(wrapperspb.Bytes([]byte("before the fault"))); err != nil {
			return err
		}
	}
	return failure("after two messages")
}

func (g *grpcOrigin) hang(s grpc.ServerStream) error {
	err := s.SendHeader(nil)
	if err == nil {
		<-s.Context().Done()
		err = context.Cause(s.Context())
	}
	g.hung <- err
	return fmt.Errorf("nobody is there: %w", err)
}
