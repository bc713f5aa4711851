package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxSeconds bounds the commands beside the agent: each has a process of ours.
const maxSeconds = 64

// requestTimeout is how long a request may take to come, and its answer.
const requestTimeout = 10 * time.Second

// Serve takes requests for second commands on a socket at path, from processes
// of the caller's user and root, until Wait returns. Call it after Go.
func (sb *Sandbox) Serve(path string) error {
	addr, done, err := socketAt(path)
	if err != nil {
		return err
	}
	defer done()
	if err := os.Remove(addr.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ln, err := net.ListenUnix(addr.Net, addr)
	if err != nil {
		return err
	}
	ln.SetUnlinkOnClose(false) // its name for us goes with done
	if err := os.Chmod(addr.Name, 0o600); err != nil {
		ln.Close()
		return err
	}
	sb.served, sb.socket = ln, path
	go sb.l.serveSeconds(ln)
	return nil
}

// unserve ends Serve.
func (sb *Sandbox) unserve() {
	if sb.served != nil {
		sb.served.Close()
		os.Remove(sb.socket)
	}
}

// socketAt is path as an address, which holds 108 bytes (unix(7)), however long
// the path is.
func socketAt(path string) (addr *net.UnixAddr, done func(), err error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	name := fmt.Sprintf("/proc/self/fd/%d/%s", fd, filepath.Base(path))
	return &net.UnixAddr{Name: name, Net: "unixpacket"}, func() { unix.Close(fd) }, nil
}

func (l *launch) serveSeconds(ln *net.UnixListener) {
	slots := make(chan struct{}, maxSeconds)
	for {
		c, err := ln.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // no descriptor free
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				l.answerSecond(&wire{c}, nil)
			}()
		default:
			go l.answerSecond(&wire{c}, fmt.Errorf("%d commands run beside the agent already", maxSeconds))
		}
	}
}

// answerSecond passes one request on to process 1, unless no is a reason not to,
// and stays until whoever asked has ended.
func (l *launch) answerSecond(w *wire, no error) {
	defer w.c.Close()
	w.c.SetDeadline(time.Now().Add(requestTimeout))
	err := l.takeSecond(w, no)
	if errors.Is(err, ErrLost) {
		return // whoever asked sees the same
	}
	if err != nil {
		w.send(message{Kind: kindError, Text: err.Error()})
		return
	}
	w.send(message{Kind: kindStarted})
	w.c.SetDeadline(time.Time{})
	_, files, _ := w.receive()
	closeAll(files)
}

// takeSecond reads the request in any case: the answer is lost with what is unread.
func (l *launch) takeSecond(w *wire, no error) error {
	m, files, err := w.receive()
	defer closeAll(files)
	if err == nil {
		err = no
	}
	if err == nil {
		err = samePeer(w.c)
	}
	if err == nil {
		err = checkSecond(m, files)
	}
	if err == nil {
		err = l.id.give(files[2:])
	}
	if err != nil {
		return err
	}
	if l.ctl.send(m, files...) != nil {
		return ErrLost
	}
	return nil
}

// samePeer refuses other users; the socket's mode does so first.
func samePeer(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var fault error
	err = raw.Control(func(fd uintptr) { cred, fault = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, fault); err != nil {
		return err
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Geteuid() {
		return fmt.Errorf("asked by uid %d; wanted uid %d", cred.Uid, os.Geteuid())
	}
	return nil
}

// checkSecond sees to it that what goes into the sandbox is a wire, a request and
// pipes, and nothing of the operator's.
func checkSecond(m message, files []*os.File) error {
	want := []uint32{unix.S_IFSOCK, unix.S_IFREG, unix.S_IFIFO, unix.S_IFIFO, unix.S_IFIFO}
	if m.Kind != kindSecond || len(files) != 2 && len(files) != len(want) {
		return fmt.Errorf("unexpected message %q with %d descriptors; wanted %q", m.Kind, len(files), kindSecond)
	}
	for i, f := range files {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != want[i] {
			return fmt.Errorf("descriptor %d of the request is of type %#o; wanted %#o", i, st.Mode&unix.S_IFMT, want[i])
		}
	}
	return nil
}
