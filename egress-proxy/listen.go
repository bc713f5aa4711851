package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/lent"

	"golang.org/x/sys/unix"
)

// inherited takes up the listening socket at descriptor N of "fd:N", as lent by
// a launcher: the socket may live in another network namespace. It may also come
// later, over a socket pair at N: then this waits for it, with all else ready.
func inherited(ctx context.Context, s string) (net.Listener, bool, error) {
	digits, ok := strings.CutPrefix(s, "fd:")
	if !ok {
		return nil, false, nil
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 3 {
		return nil, true, cli.Misused("-listen %q; wanted fd:3 or above", s)
	}
	ln, err := lent.Listener(ctx, n)
	if err != nil {
		return nil, true, fmt.Errorf("-listen %s: %w; wanted a listening socket at that descriptor, or one sent over it", s, err)
	}
	return ln, true, nil
}

// listenUnix listens at path, where a socket that nobody serves any more may
// lie from an earlier run.
func listenUnix(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, cli.Refusedf("-listen unix:%s: another process listens there", path)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		os.Remove(path)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("-listen unix:%s: %w", path, err)
	}
	return ln, nil
}

// undumpable: prctl(2) PR_SET_DUMPABLE 0, so that no other process of the user
// reads the credentials from memory and no core holds them.
func undumpable() { unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
