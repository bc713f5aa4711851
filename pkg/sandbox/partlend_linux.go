package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A listening socket belongs to the network that it was made in. The container
// that shares the agent's network makes it and passes it, over a socket on a
// volume that the agent does not have, to the one that serves it (unix(7),
// SCM_RIGHTS).

// lendTo listens on addr and passes that to whoever waits at path.
func lendTo(addr, path string) error {
	f, err := Listen{Name: "proxy", Network: "tcp", Address: addr}.listen()
	if err != nil {
		return fmt.Errorf("lending %s: %w", addr, err)
	}
	defer f.Close()
	late := time.Now().Add(startTimeout)
	for {
		err := passTo(path, f)
		if err == nil || time.Now().After(late) {
			return err
		}
		time.Sleep(5 * time.Millisecond) // the other container may start later
	}
}

func passTo(path string, f *os.File) error {
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return err
	}
	defer c.Close()
	w := &wire{c}
	if err := w.send(message{Kind: kindReady}, f); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(startTimeout))
	m, _, err := w.receive()
	if err == nil && m.Kind != kindStarted {
		err = fmt.Errorf("unexpected message %q; wanted %q", m.Kind, kindStarted)
	}
	return err
}

// borrow waits at path for the one listener that is lent.
func borrow(path string) (*os.File, error) {
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	defer ln.Close() // and removes the socket: nobody can lend another one
	ln.SetDeadline(time.Now().Add(startTimeout))
	c, err := ln.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("no listener was lent: %w", err)
	}
	defer c.Close()
	w := &wire{c}
	_, files, err := w.receive()
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		closeAll(files)
		return nil, fmt.Errorf("%d descriptors were lent; wanted one", len(files))
	}
	return files[0], w.send(message{Kind: kindStarted})
}

// partListener is the listener of Part.Fd.
func partListener(what string) (*os.File, error) {
	kind, where, _ := strings.Cut(what, ":")
	switch kind {
	case "unix":
		return Listen{Name: "part", Network: "unix", Address: where}.listen()
	case "lent":
		return borrow(where)
	case "in":
		cidr, port, _ := strings.Cut(where, ",")
		addr, err := addressIn(cidr)
		if err != nil {
			return nil, err
		}
		return Listen{Name: "part", Network: "tcp", Address: net.JoinHostPort(addr, port)}.listen()
	}
	return nil, fmt.Errorf("-fd %s; wanted unix:, lent: or in:", what)
}

// addressIn is this container's own address in a network.
func addressIn(cidr string) (string, error) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return "", err
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range own {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && network.Contains(p.Addr()) {
			return p.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no address in %s", cidr)
}

// A relay joins the launcher's streams to process 1 of the agent's container,
// which is the only one it takes: it is there before the agent is.
type relay struct {
	got  chan struct{} // closed when conn or err is set
	conn net.Conn
	err  error
}

func listenRelay(path string) (*relay, error) {
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil { // whatever the agent's uid is
		ln.Close()
		return nil, err
	}
	r := &relay{got: make(chan struct{})}
	go func() {
		defer close(r.got)
		defer ln.Close()
		r.conn, r.err = ln.Accept()
	}()
	return r, nil
}

// Write passes on what the launcher says.
func (r *relay) Write(p []byte) (int, error) {
	<-r.got
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.conn.Write(p)
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return len(p), nil // it has ended, which the launcher sees; go on until it does
	}
	return n, err
}

// copyOut passes on what process 1 says.
func (r *relay) copyOut(w io.Writer) {
	<-r.got
	if r.err == nil {
		io.Copy(w, r.conn)
	}
	newLines(nil, w).send(message{Kind: kindGone})
}
