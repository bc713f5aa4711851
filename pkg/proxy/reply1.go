package proxy

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"bottle/pkg/http1"
)

// reply1 is the answer on an HTTP/1.1 connection.
type reply1 struct {
	a       *agentConn
	x       *exchange
	minor   int // of the agent's version
	begun   atomic.Bool
	ended   bool
	bare    bool  // no content may follow the head
	left    int64 // content still to come, when its length is known
	chunked *http1.ChunkedWriter
	corked  bool // until the next flush
}

func (r *reply1) interim(status int, h http1.Header) error {
	if r.minor == 0 {
		return nil // HTTP/1.0 knows no interim answers, RFC 9110 §15.2
	}
	r.a.bw.Write(http1.AppendResponse(nil, status, "", h))
	return r.a.bw.Flush()
}

// head puts the head into the buffer; the first content or flush sends it.
func (r *reply1) head(status int, reason string, h http1.Header, length int64) error {
	if !r.begun.CompareAndSwap(false, true) {
		return errWroteFirst
	}
	r.x.access.Status = status
	if r.x.body != nil {
		r.a.SetReadDeadline(time.Time{}) // from here on the content may be slow
	}
	r.bare = r.x.method == "HEAD" || status == 204 || status == 304
	r.left = length
	switch {
	case status == 101:
		r.bare = true
	case r.bare:
		r.left = 0
	case length < 0 && r.minor == 0:
		r.x.close, h = true, h.Frame(-2) // the end of the connection ends the content
	case length < 0:
		h = h.Frame(-1)
		r.chunked = http1.NewChunkedWriter(r.a.bw)
	default:
		h = h.WithLength(length)
	}
	if r.x.expect && r.x.sent.Load() == 0 && status >= 200 {
		r.x.close = true // the content that waits for a 100 may come or not
	}
	if r.a.p.drain.Load() && status != 101 {
		r.x.close = true
	}
	if r.x.close && status != 101 {
		h = h.Add("Connection", "close")
	}
	_, err := r.a.bw.Write(http1.AppendResponse(r.a.bw.AvailableBuffer(), status, reason, h))
	return err
}

func (r *reply1) Write(p []byte) (int, error) {
	if r.bare {
		return len(p), nil
	}
	if len(p) > bufSize {
		r.corked = true
		r.a.sock.cork()
	}
	if r.chunked != nil {
		return r.chunked.Write(p)
	}
	if r.left >= 0 {
		if int64(len(p)) > r.left {
			return 0, io.ErrShortWrite
		}
		r.left -= int64(len(p))
	}
	return r.a.bw.Write(p)
}

func (r *reply1) flush() error {
	err := r.a.bw.Flush()
	if r.corked {
		r.corked = false
		if e := r.a.sock.uncork(); err == nil {
			err = e
		}
	}
	return err
}

// noMore wakes who reads content that nobody wants any more.
func (r *reply1) noMore() {
	r.a.due = time.Time{}
	r.a.SetReadDeadline(past)
}

func (r *reply1) end(trailer http1.Header) error {
	if r.left > 0 {
		return errors.New("the answer is shorter than its Content-Length")
	}
	if r.chunked != nil {
		if err := r.chunked.Close(trailer); err != nil {
			return err
		}
	}
	err := r.flush()
	r.ended = err == nil
	return err
}

// abort closes the connection without the due end of the content.
func (r *reply1) abort() { resetting{r.a}.Close() }
