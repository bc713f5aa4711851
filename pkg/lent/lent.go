// Package lent passes listening sockets from the process that makes them to the
// one that serves them. A socket belongs to the network it was made in, so a
// program may serve one of a network that it cannot reach.
package lent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Lender is the end of a socket pair over which one listener is given away.
type Lender struct{ conn *net.UnixConn }

// New makes the pair: the lender, and what the borrower inherits. With that in
// the place of a listener it can start before there is one, and get ready.
func New() (*Lender, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	theirs := os.NewFile(uintptr(fds[1]), "lent")
	conn, err := connOf(fds[0])
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return &Lender{conn}, theirs, nil
}

// connOf takes over a descriptor of a connected unix socket.
func connOf(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "lent")
	defer f.Close() // FileConn has a duplicate
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("not a unix socket")
	}
	return conn, nil
}

// Lend gives the borrower a duplicate of the listening socket.
func (l *Lender) Lend(listener *os.File) error {
	defer l.Close()
	_, _, err := l.conn.WriteMsgUnix([]byte{1}, syscall.UnixRights(int(listener.Fd())), nil)
	return err
}

// Close ends the pair. A borrower that still waits is told that nothing comes.
func (l *Lender) Close() { l.conn.Close() }

// Listener is the listening socket that descriptor fd is, or that is lent over
// the unix socket that fd is, for which it waits until ctx ends. It takes fd over.
func Listener(ctx context.Context, fd int) (net.Listener, error) {
	syscall.CloseOnExec(fd)
	n, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	var f *os.File
	if n != 0 {
		f = os.NewFile(uintptr(fd), "listener")
	} else if f, err = borrow(ctx, fd); err != nil {
		return nil, err
	}
	defer f.Close() // FileListener has a duplicate
	return net.FileListener(f)
}

// borrow waits for the one listener that is lent over fd.
func borrow(ctx context.Context, fd int) (*os.File, error) {
	conn, err := connOf(fd)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	// Room for one descriptor: the kernel drops what is more.
	data, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := conn.ReadMsgUnix(data, oob)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && n == 0, errors.Is(err, io.EOF):
		return nil, errors.New("its lender has ended and lent nothing")
	case err != nil:
		return nil, err
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return nil, err
	}
	for _, m := range msgs {
		if fds, err := syscall.ParseUnixRights(&m); err == nil && len(fds) == 1 {
			syscall.CloseOnExec(fds[0])
			return os.NewFile(uintptr(fds[0]), "lent"), nil
		}
	}
	return nil, errors.New("no descriptor came with what its lender sent")
}
