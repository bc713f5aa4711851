package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/lent"
)

const (
	// maxConns bounds the conversations at once; a client needs one.
	maxConns = 16
	// writeTimeout bounds how long a client may leave an answer unread.
	writeTimeout = 30 * time.Second
)

// listen serves each connection of the listener that where names, until ctx
// ends.
func (a *agent) listen(ctx context.Context, where string) error {
	l, err := listener(ctx, where)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	a.log.Info("listen", "bottle", a.bottle, "listen", where)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer l.Close()
	var conns sync.WaitGroup
	defer conns.Wait()
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors, most likely: it passes when others close.
			a.log.Error("accept", "error", err)
			pause(ctx, time.Second)
			continue
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() { a.conn(ctx, conn); <-slots })
		default:
			conn.Close() // no log line: a client could fill the disk with them
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (a *agent) conn(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	if err := converse(ctx, a.server(), conn, timedWriter{conn}); err != nil {
		a.log.Warn("conversation", "bottle", a.bottle, "error", err)
	}
}

// timedWriter gives up on a client that does not read.
type timedWriter struct{ net.Conn }

func (w timedWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// listener opens "fd:N", a listening socket that is inherited, or sent over a
// socket pair that is, or "unix:PATH", made with mode 0600 in place of what an
// earlier process left there.
func listener(ctx context.Context, where string) (net.Listener, error) {
	kind, what, _ := strings.Cut(where, ":")
	switch kind {
	case "fd":
		n, err := strconv.Atoi(what)
		if err != nil || n < 3 {
			return nil, cli.Misused("-listen %s: wanted fd:N with N from 3 on", where)
		}
		l, err := lent.Listener(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("-listen %s: %w; wanted a listening socket", where, err)
		}
		return l, nil
	case "unix":
		return listenUnix(what)
	}
	return nil, cli.Misused("-listen %s: wanted fd:N or unix:PATH", where)
}

func listenUnix(path string) (net.Listener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != fs.ModeSocket {
			return nil, cli.Refusedf("%s: there is something that is no socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, cli.Refusedf("%s: another process listens there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}
