package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// agentFields are the header fields of every request.
const agentFields = "User-Agent: bench/1\r\nAccept: */*\r\nContent-Type: application/json\r\n"

// connTime is how long a connection of the load generator may last: no turn
// takes as long, and a target that hangs must not stop the run.
const connTime = 60 * time.Second

// A client is one connection of an agent to the origin, as the target offers
// it. It does as little as it can: it shares its cores with the target.
type client struct {
	*tls.Conn
	br   *bufio.Reader
	free func() bool // the tie to the context
	host string      // as in Host
}

// dial opens a connection to host: through CONNECT, or straight to a reverse
// proxy or the origin. The end of ctx closes it. Without protos the agent
// offers HTTP/1.1 alone.
func (t *target) dial(ctx context.Context, host string, protos ...string) (*client, error) {
	// What every target's library knows, so that like is compared with like.
	cfg := &tls.Config{ServerName: host, CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: protos}
	if cfg.RootCAs = t.Ours.pool; t.peer == nil {
		cfg.RootCAs = t.Theirs.pool
	}
	raw, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", t.addr())
	if err != nil {
		return nil, err
	}
	raw.SetDeadline(time.Now().Add(connTime))
	c := &client{Conn: tls.Client(raw, cfg), host: host}
	c.free = context.AfterFunc(ctx, func() { raw.Close() })
	if t.Port != "443" {
		c.host = net.JoinHostPort(host, t.Port)
	}
	if t.peer != nil && t.peer.forward {
		err = connect(raw, net.JoinHostPort(host, t.Port))
	}
	if err == nil {
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.br = bufio.NewReaderSize(c.Conn, 16<<10)
	return c, nil
}

func (c *client) Close() error {
	c.free()
	return c.NetConn().Close() // no close_notify: an agent that is killed sends none either
}

func connect(raw net.Conn, to string) error {
	if _, err := fmt.Fprintf(raw, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", to, to); err != nil {
		return err
	}
	br := bufio.NewReaderSize(raw, 4<<10)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	switch {
	case err != nil:
		return fmt.Errorf("CONNECT: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("CONNECT: status %d; wanted 200", resp.StatusCode)
	case br.Buffered() > 0:
		return errors.New("CONNECT: bytes behind the answer's head")
	}
	return nil
}

// head is a request's, with extra fields that each end in CRLF.
func (c *client) head(method, path, extra string) []byte {
	return []byte(method + " " + path + " HTTP/1.1\r\nHost: " + c.host + "\r\n" + agentFields + extra + "\r\n")
}

var getRequest = &http.Request{Method: http.MethodGet}

// send writes a request and reads the head of its answer.
func (c *client) send(request []byte, wanted int) (*http.Response, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.br, getRequest)
	if err == nil && resp.StatusCode != wanted {
		err = fmt.Errorf("status %d; wanted %d", resp.StatusCode, wanted)
	}
	return resp, err
}

// do sends a request and reads its whole answer, of which it returns the length.
func (c *client) do(request []byte) (int64, error) {
	resp, err := c.send(request, http.StatusOK)
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, resp.Body)
}

// text is the content at path.
func (c *client) text(path string) (string, error) {
	resp, err := c.send(c.head("GET", path, ""), http.StatusOK)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// visit opens a connection to host, makes one small request, and leaves it open.
func (t *target) visit(ctx context.Context, host string) (*client, error) {
	c, err := t.dial(ctx, host)
	if err != nil {
		return nil, err
	}
	if _, err := c.do(c.head("GET", "/", "")); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
