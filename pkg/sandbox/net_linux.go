package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// loopbackUp switches on the only interface of the new network.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}

// listen makes a listening socket in this namespace. A socket belongs to the
// network it was made in, whoever accepts from it: handed out, it is the
// agent's only way to the one who holds it.
func (l Listen) listen() (*os.File, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // the holder may not expect its socket options
	ln, err := lc.Listen(context.Background(), l.Network, l.Address)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	switch s := ln.(type) {
	case *net.TCPListener:
		return s.File()
	case *net.UnixListener:
		s.SetUnlinkOnClose(false)
		// connect(2) needs write permission, also where the file system is read-only.
		if err := os.Chmod(l.Address, 0o666); err != nil {
			return nil, err
		}
		return s.File()
	}
	return nil, fmt.Errorf("listen %s %s: wanted tcp or unix", l.Network, l.Address)
}
