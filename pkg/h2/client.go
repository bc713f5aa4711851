package h2

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"bottle/pkg/http1"
)

// Client is a connection to a server, on which requests can be sent.
type Client struct{ conn }

// NewClient begins HTTP/2 on c, on which it was agreed. It does not wait for the
// server.
func NewClient(c net.Conn, cfg Config) (*Client, error) {
	cl := &Client{}
	cl.greeted, cl.ended = make(chan struct{}), make(chan struct{})
	cl.init(c, cfg.orDefault(100), true)
	cl.mu.Lock()
	cl.out.need()
	cl.out.b = append(cl.out.b, preface...)
	cl.sendSettings()
	cl.flush(false)
	err := cl.err
	cl.mu.Unlock()
	if err != nil {
		cl.timer.Stop()
		return nil, err
	}
	go func() { cl.end(cl.readFrames()) }()
	return cl, nil
}

var (
	errFull   = errors.New("the connection has as many streams as it may")
	errGoing  = errors.New("the server is closing the connection")
	errHead   = errors.New("the request's method, scheme, authority or path cannot be sent")
	errSilent = errors.New("the server did not send its SETTINGS in time")
)

// Open sends a request's head; with end it is the whole request, and sent at
// once. Otherwise the caller calls Flush, unless Write or End come at once. The
// caller closes the stream when done with it.
//
// An error is ErrNotSent where nothing was sent: the connection is closed,
// closing or full, or the head is not valid. Later errors of the stream are
// ErrNotSent or ErrNotProcessed where that is certain, and otherwise the server
// may have processed the request.
//
// A head with Protocol waits for the server's SETTINGS, ten seconds at most.
func (c *Client) Open(h Head, end bool) (*Stream, error) {
	return c.OpenContext(context.Background(), h, end)
}

// OpenContext is Open that waits no longer than ctx; its error is then ctx's
// cause.
func (c *Client) OpenContext(ctx context.Context, h Head, end bool) (*Stream, error) {
	if h.Protocol != "" {
		if err := c.awaitExtended(ctx); err != nil {
			return nil, err
		}
	}
	if !sendable(&h) {
		return nil, &notSent{errHead}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.newStream(0)
	if err := c.admit(ctx, s); err != nil {
		return nil, &notSent{err}
	}
	c.lastID = c.nextID()
	s.id = c.lastID
	s.windows() // SETTINGS may have come while it waited
	s.bare = h.Method == "HEAD"
	s.tunnel = h.Method == "CONNECT"
	c.add(s)
	s.headAt, s.tailAt = c.out.at(), c.out.at()
	c.encodeRequest(s.id, &h, 0)
	if end {
		s.end()
	}
	return s, nil
}

func (c *Client) nextID() uint32 {
	if c.lastID == 0 {
		return 1
	}
	return c.lastID + 2
}

// admit waits for room in the buffer and tells why s cannot be opened; locked.
func (c *Client) admit(ctx context.Context, s *Stream) error {
	var stop func() bool
	for {
		if err := cmp.Or(context.Cause(ctx), c.full()); err != nil {
			return err
		}
		if len(c.out.b)+frameHead <= outSize {
			return nil
		}
		if !c.out.flushing {
			c.flush(false)
			continue
		}
		if stop == nil {
			stop = context.AfterFunc(ctx, func() {
				c.mu.Lock()
				s.wcond.Signal()
				c.mu.Unlock()
			})
			defer stop()
		}
		s.block()
	}
}

// full tells why no stream can be opened; locked.
func (c *Client) full() error {
	switch {
	case c.err != nil:
		return c.err
	case c.going.away || c.lastID > maxWindow-2:
		return errGoing
	case len(c.streams) >= int(min(c.peer.streams, c.cfg.MaxStreams)):
		return errFull
	}
	return nil
}

func sendable(h *Head) bool {
	for _, v := range []string{h.Scheme, h.Authority, h.Path, h.Protocol} {
		if v != "" && !http1.ValidTarget(v) {
			return false
		}
	}
	if h.Method == "CONNECT" && h.Protocol == "" {
		return h.Authority != "" && h.Scheme == "" && h.Path == ""
	}
	return http1.ValidToken(h.Method) && h.Scheme != "" && h.Path != ""
}

func (c *Client) awaitExtended(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, min(10*time.Second, c.cfg.Stall), ErrNotExtended)
	defer cancel()
	if err := c.AwaitSettings(ctx); err != nil {
		return err
	}
	if !c.PeerExtended() {
		return ErrNotExtended
	}
	return nil
}

// AwaitSettings waits until the server's first SETTINGS have come, which say how
// many streams it allows, or the connection has ended. The error is ctx's cause.
func (c *Client) AwaitSettings(ctx context.Context) error {
	select {
	case <-c.greeted:
	case <-c.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Room is how many streams may be open at once.
func (c *Client) Room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(min(c.peer.streams, c.cfg.MaxStreams))
}

// Usable reports that the connection takes new streams, of which Room are open at
// most.
func (c *Client) Usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.full()
	return err == nil || err == errFull
}

// Streams is the number of streams that are open.
func (c *Client) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// PeerExtended reports that the server's SETTINGS have come and offer the
// extended CONNECT of RFC 8441.
func (c *Client) PeerExtended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer.extended
}

// Err is why the connection ended; nil while it lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close closes the connection, and every stream with ErrClosed. It does not wait
// for the server.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil
	}
	c.failLocked(ErrClosed)
	if !c.out.dead {
		c.out.need()
		c.out.b = appendGoAway(c.out.b, 0, NoError, "")
	}
	return c.nc.SetReadDeadline(time.Unix(1, 0)) // wakes the read loop
}
