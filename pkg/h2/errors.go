package h2

import (
	"errors"
	"strconv"
)

// Code is an error code of RFC 9113 §7.
type Code uint32

// The codes of RFC 9113 §7.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
	"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
	"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String returns the code's name in RFC 9113 §7, or its number.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

var (
	// ErrNotSent says that not one byte of the request was written: the
	// connection is closed, closing or full. Such an error is ErrNotProcessed too.
	ErrNotSent = errors.New("the request was not sent")
	// ErrNotProcessed says that the server told that it did not process the
	// request (RFC 9113 §8.7), so that it can be sent again elsewhere.
	ErrNotProcessed = errors.New("the request was not processed")
	// ErrClosed says that this side closed the connection.
	ErrClosed = errors.New("the HTTP/2 connection was closed")
	// ErrNotExtended says that the server does not offer the extended CONNECT of
	// RFC 8441. It is ErrNotSent too.
	ErrNotExtended = error(&notSent{errors.New("the server does not offer the extended CONNECT (RFC 8441)")})
)

// notSent is an error of a request of which nothing was sent.
type notSent struct{ why error }

func (e *notSent) Error() string { return ErrNotSent.Error() + ": " + e.why.Error() }

// Unwrap returns why it was not sent.
func (e *notSent) Unwrap() error { return e.why }

// Is makes it ErrNotSent and ErrNotProcessed.
func (e *notSent) Is(target error) bool { return target == ErrNotSent || target == ErrNotProcessed }

// StreamError is the end of one stream before its time.
type StreamError struct {
	Code   Code
	Remote bool   // the peer reset it; else this side did
	Why    string // what was wrong, where this side found it; no bytes of the peer's
	// unprocessed: the server's GOAWAY told that the stream was not looked at.
	unprocessed bool
}

func (e *StreamError) Error() string {
	switch {
	case e.unprocessed:
		return "the peer is closing the connection and did not process the request"
	case e.Remote:
		return "the peer reset the stream: " + e.Code.String()
	case e.Why != "":
		return e.Why
	}
	return "the stream was reset: " + e.Code.String()
}

// Is makes it ErrNotProcessed where the peer said so (RFC 9113 §8.7).
func (e *StreamError) Is(target error) bool {
	return target == ErrNotProcessed && (e.unprocessed || e.Remote && e.Code == RefusedStream)
}

// ConnError is the end of a connection for an error in the protocol.
type ConnError struct {
	Code   Code
	Remote bool   // the peer's GOAWAY said it; else this side's
	Why    string // what was wrong; no bytes of the peer's
}

func (e *ConnError) Error() string {
	if e.Remote {
		return "the peer closed the HTTP/2 connection: " + e.Code.String()
	}
	return "HTTP/2 " + e.Code.String() + ": " + e.Why
}

func connError(code Code, why string) error { return &ConnError{Code: code, Why: why} }

// malformed is a message that RFC 9113 §8.1.1 wants reset.
func malformed(why string) *StreamError { return &StreamError{Code: ProtocolError, Why: why} }
