package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// streams joins the operator's streams to a command's, the agent's or one beside
// it. The command never has the operator's own descriptors: a log file could be
// opened again through /proc/self/fd and read or emptied, and a terminal typed
// into (TIOCSTI). It has pipes, or a terminal of the sandbox's.
type streams struct {
	in         *os.File // may be nil
	out, err   io.Writer
	ours       []*os.File // pipes: the other ends of the command's three
	theirs     []*os.File // pipes: the command's three, until they are handed over
	rows, cols uint16     // terminal: its first size
	master     *os.File   // terminal: its other end
	saved      *unix.Termios
	stop       [2]*os.File // a pipe; closing [1] ends the reading of in
	outputs    sync.WaitGroup
	winch      chan os.Signal
}

// openStreams prepares them, for a terminal or for pipes.
func openStreams(in *os.File, out, err io.Writer, terminal bool) (*streams, error) {
	st := &streams{in: in, out: orDiscard(out), err: orDiscard(err)}
	open := st.openPipes
	if terminal {
		open = st.findSize
	}
	r, w, fault := os.Pipe()
	if st.stop = [2]*os.File{r, w}; fault == nil {
		fault = open()
	}
	if fault != nil {
		st.close()
		return nil, fault
	}
	return st, nil
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

func (st *streams) openPipes() error {
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, ours := w, r
		if i == 0 {
			theirs, ours = r, w
		}
		st.theirs, st.ours = append(st.theirs, theirs), append(st.ours, ours)
	}
	return nil
}

func (st *streams) findSize() error {
	if st.in == nil {
		return errors.New("terminal: there is no standard input")
	}
	ws, err := unix.IoctlGetWinsize(int(st.in.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return fmt.Errorf("terminal: standard input: %w", err)
	}
	st.rows, st.cols = ws.Row, ws.Col
	return nil
}

// handedOver closes the command's ends, which it has by now: its end is theirs.
func (st *streams) handedOver() {
	closeAll(st.theirs)
	st.theirs = nil
}

// relay starts the copying, in raw mode for a terminal.
func (st *streams) relay(master *os.File) error {
	if master == nil {
		go st.pump(st.ours[0])
		st.copyOut(st.out, st.ours[1])
		st.copyOut(st.err, st.ours[2])
		return nil
	}
	st.master = master
	if err := st.raw(); err != nil {
		return err
	}
	st.winch = make(chan os.Signal, 1)
	signal.Notify(st.winch, syscall.SIGWINCH)
	go func() {
		for range st.winch {
			st.resize()
		}
	}()
	st.resize()
	go st.pump(master)
	st.copyOut(st.out, master)
	return nil
}

// copyOut copies until the agent's end is gone. When the operator's end is gone
// first, the agent's writes fail from then on as they would without us.
func (st *streams) copyOut(to io.Writer, from *os.File) {
	st.outputs.Go(func() {
		_, err := io.Copy(to, from)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = copyRest(to, from)
		}
		if err != nil && from != st.master {
			from.Close()
		}
	})
}

// settle has the copying from pipes end with what is in them: the command has
// ended, and what it left behind may hold them open for long.
func (st *streams) settle() {
	for _, f := range st.ours {
		f.SetReadDeadline(time.Now())
	}
}

// copyRest copies what a pipe holds, without waiting for more.
func copyRest(to io.Writer, from *os.File) error {
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var fault error
	err = raw.Control(func(fd uintptr) { n, fault = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err = errors.Join(err, fault, from.SetReadDeadline(time.Time{})); err != nil {
		return err
	}
	_, err = io.CopyN(to, from, int64(n))
	return err
}

// pump copies standard input to the agent, and reads only while the agent is
// there: what is typed afterwards is the shell's.
func (st *streams) pump(to *os.File) {
	if to != st.master {
		defer to.Close()
	}
	if st.in == nil {
		return
	}
	in, stop, buf := int(st.in.Fd()), int(st.stop[0].Fd()), make([]byte, 32<<10)
	for {
		fds := []unix.PollFd{{Fd: int32(in), Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return
		}
		if fds[1].Revents != 0 {
			return
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(in, buf)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if n <= 0 {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// raw hands every key to the agent's terminal, as cfmakeraw(3).
func (st *streams) raw() error {
	fd := int(st.in.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	t := *old
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	if st.saved == nil {
		st.saved = old
	}
	return nil
}

func (st *streams) cooked() {
	if st.saved != nil {
		unix.IoctlSetTermios(int(st.in.Fd()), unix.TCSETSW, st.saved)
	}
}

// resize gives the agent's terminal the size of the operator's; the kernel
// sends SIGWINCH.
func (st *streams) resize() {
	if ws, err := unix.IoctlGetWinsize(int(st.in.Fd()), unix.TIOCGWINSZ); err == nil {
		unix.IoctlSetWinsize(int(st.master.Fd()), unix.TIOCSWINSZ, ws)
	}
}

// suspend stops this process, as its agent has stopped, until it is continued.
// It reports whether the agent is to be continued too: one without a terminal
// was stopped by somebody inside, who knows why.
func (st *streams) suspend() bool {
	if st.saved == nil {
		return false
	}
	st.cooked()
	// This thread may run on a little after kill(2): what says that the stop is
	// over is the signal that ends it.
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGCONT)
	unix.Kill(os.Getpid(), unix.SIGSTOP)
	<-again
	signal.Stop(again)
	st.raw()
	st.resize()
	return true
}

// finish waits for the rest of the output and gives the terminal back.
func (st *streams) finish() {
	st.outputs.Wait()
	st.close()
}

// close ends what is left. It may be called again.
func (st *streams) close() {
	if st.winch != nil {
		signal.Stop(st.winch)
		close(st.winch)
		st.winch = nil
	}
	st.cooked()
	if st.stop[1] != nil {
		st.stop[1].Close() // wakes pump, which still uses [0]
		st.stop[1] = nil
	}
	st.handedOver()
	closeAll(st.ours)
	if st.master != nil {
		st.master.Close()
	}
}
