package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const maxFds = 16

// wire is one end of a SEQPACKET socket pair, one message per packet; descriptors
// ride along (SCM_RIGHTS, unix(7)).
type wire struct{ c *net.UnixConn }

// newWires makes the pair: the launcher's end, and the file that _init inherits.
func newWires() (*wire, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	w, err := wireOf(fds[0])
	if err != nil {
		theirs.Close()
	}
	return w, theirs, err
}

// wireOf takes over the descriptor.
func wireOf(fd int) (*wire, error) {
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close() // FileConn has a duplicate
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("the control descriptor is not a unix socket")
	}
	return &wire{u}, nil
}

// send sends m and duplicates of the files.
func (w *wire) send(m message, files ...*os.File) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(data) > maxMessage {
		return fmt.Errorf("control message of %d bytes; wanted at most %d", len(data), maxMessage)
	}
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	_, _, err = w.c.WriteMsgUnix(data, oob, nil)
	return err
}

// receive returns the next message and the files that came with it; io.EOF when
// the other side is gone.
func (w *wire) receive() (message, []*os.File, error) {
	var m message
	data, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxFds))
	n, oobn, _, _, err := w.c.ReadMsgUnix(data, oob)
	if err != nil {
		return m, nil, err
	}
	if n == 0 {
		return m, nil, io.EOF
	}
	files, err := filesOf(oob[:oobn])
	if err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(data[:n], &m); err != nil {
		closeAll(files)
		return m, nil, err
	}
	return m, files, nil
}

func filesOf(oob []byte) ([]*os.File, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range msgs {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(files)
			return nil, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// memfile is an anonymous file with data in it, at its start. Sealed: nobody
// who gets it can change it (memfd_create(2)).
func memfile(name string, data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(data, 0); err != nil {
		f.Close()
		return nil, err
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		f.Close()
		return nil, fmt.Errorf("sealing %s: %w", name, err)
	}
	return f, nil
}
