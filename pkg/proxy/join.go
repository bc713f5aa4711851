package proxy

import (
	"io"
	"net"
	"time"

	"bottle/pkg/h2"
)

// duplex is one side of a connection that is no longer HTTP: a WebSocket or a
// tunnel.
type duplex interface {
	io.Writer
	copyTo(io.Writer) (int64, error) // until its end; what was read ahead comes first
	closeWrite(error)                // says that no more will come, and whether that is the due end; a peer that goes on is heard
	SetDeadline(time.Time) error
}

// join copies both ways until one side ends. There is no limit on how long
// either may be silent.
func (x *exchange) join(agent, origin duplex) {
	agent.SetDeadline(time.Time{})
	origin.SetDeadline(time.Time{})
	done := make(chan struct{}, 2)
	go func() {
		n, err := agent.copyTo(origin)
		x.sent.Add(n)
		origin.closeWrite(err)
		done <- struct{}{}
	}()
	go func() {
		n, err := origin.copyTo(agent)
		x.received.Add(n)
		agent.closeWrite(err)
		done <- struct{}{}
	}()
	<-done
	// One side has ended; the other's last bytes get a moment, no more: who has
	// left does not come back.
	late := time.Now().Add(lastBytes)
	agent.SetDeadline(late)
	origin.SetDeadline(late)
	<-done
}

// lastBytes is how long a joined connection outlives its first end.
const lastBytes = 5 * time.Second

// agentSide is the agent's side of a WebSocket.
func (x *exchange) agentSide() duplex {
	if x.ws != nil {
		return stream{x.ws}
	}
	return x.a
}

func (a *agentConn) copyTo(w io.Writer) (int64, error) { return a.br.WriteTo(w) }
func (a *agentConn) closeWrite(error)                  { halfClose(a.Conn) }

func (u *upConn) copyTo(w io.Writer) (int64, error) { return u.br.WriteTo(w) }
func (u *upConn) closeWrite(error)                  { halfClose(u.Conn) }

func halfClose(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
		return
	}
	c.Close()
}

// stream is an HTTP/2 stream whose every write is sent.
type stream struct{ *h2.Stream }

func (s stream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if err == nil {
		err = s.Flush()
	}
	return n, err
}

// closeWrite ends the stream, or resets it where the other side broke off (RFC
// 8441 §5).
func (s stream) closeWrite(err error) {
	if err != nil && err != io.EOF {
		s.Reset(h2.Cancel)
		return
	}
	s.End(nil)
}

func (s stream) copyTo(w io.Writer) (n int64, err error) {
	for err == nil {
		s.Await()
		var m int
		m, err = s.copyPiece(w)
		n += int64(m)
	}
	return n, err
}

func (s stream) copyPiece(w io.Writer) (int, error) {
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	n, err := s.Read(buf[:])
	if n > 0 {
		if _, werr := w.Write(buf[:n]); werr != nil {
			return n, werr
		}
	}
	return n, err
}
