// Package term is a terminal as a full screen: keys in, frames out, and the
// terminal as it was when that ends, however it ends.
package term

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// What is sent at the beginning and at the end (xterm, ctlseqs): the alternate
// screen, no wrapping at the last column, pastes marked as such, no cursor.
const (
	enter = "\x1b[?1049h\x1b[?7l\x1b[?2004h\x1b[?25l"
	leave = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// A Terminal is an open terminal.
type Terminal struct {
	in, out *os.File
	was     *unix.Termios
	frame   Frame

	mu    sync.Mutex
	raw   bool
	keys  chan Key
	stop  *os.File      // closing it ends the reader
	ended chan struct{} // the reader has ended
}

// ErrNone says that there is no terminal.
var ErrNone = errors.New("standard input and output are not a terminal; wanted one")

// Open takes the terminal of the files in and out, which must be one, and makes
// it a full screen.
func Open(in, out *os.File, ink Ink) (*Terminal, error) {
	was, err := getState(int(in.Fd()))
	if err != nil {
		return nil, ErrNone
	}
	if _, err := getState(int(out.Fd())); err != nil {
		return nil, ErrNone
	}
	t := &Terminal{in: in, out: out, was: was, keys: make(chan Key, 64), frame: Frame{Ink: ink}}
	return t, t.Resume()
}

// Keys is where the keys come; it is closed when the terminal is gone.
func (t *Terminal) Keys() <-chan Key { return t.keys }

// Resume makes the terminal a full screen again after Leave.
func (t *Terminal) Resume() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw {
		return nil
	}
	mode := *t.was
	makeRaw(&mode)
	if err := setState(int(t.in.Fd()), &mode); err != nil {
		return err
	}
	t.raw = true
	t.frame.Forget()
	t.forget()
	if _, err := io.WriteString(t.out, enter); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	t.stop, t.ended = w, make(chan struct{})
	go t.read(r, t.ended)
	return nil
}

// forget drops keys that were meant for what was here before: they must not
// decide anything.
func (t *Terminal) forget() {
	dropInput(int(t.in.Fd()))
	for {
		select {
		case _, open := <-t.keys:
			if open {
				continue
			}
		default:
		}
		return
	}
}

// Leave gives the terminal back as it was, for another program or for good. No
// key is read any more. Doing it twice does no harm.
func (t *Terminal) Leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.raw {
		return
	}
	t.raw = false
	if t.stop != nil {
		t.stop.Close()
		<-t.ended
		t.stop = nil
	}
	io.WriteString(t.out, leave)
	setState(int(t.in.Fd()), t.was)
}

// Size is how many columns and rows there are; 80 and 24 when the terminal does
// not say.
func (t *Terminal) Size() (width, height int) {
	ws, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return 80, 24
	}
	return int(ws.Col), int(ws.Row)
}

// Draw shows lines, writing only what is not there yet, at once.
func (t *Terminal) Draw(lines []Line, c Cursor) error {
	if w, h := t.Size(); w != t.frame.Width || h != t.frame.Height {
		t.frame.Width, t.frame.Height = w, h
		t.frame.Forget()
	}
	_, err := t.out.Write(t.frame.Draw(lines, c))
	return err
}

// Redraw is Draw of everything, for a screen that something else has written on.
func (t *Terminal) Redraw() { t.frame.Forget() }

// escapeWait is how long the rest of an escape sequence may take: longer than
// the parts of a packet, shorter than a second key.
const escapeWait = 100 * time.Millisecond

// read reads keys until stop ends or the terminal does.
func (t *Terminal) read(stop *os.File, ended chan struct{}) {
	defer close(ended)
	defer stop.Close()
	var d Decoder
	buf := make([]byte, 4096)
	fds := []unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}, {Fd: int32(stop.Fd()), Events: unix.POLLIN}}
	for {
		wait := -1
		if d.Pending() {
			wait = int(escapeWait.Milliseconds())
		}
		n, err := unix.Poll(fds, wait)
		if err == unix.EINTR {
			continue
		}
		if err != nil || fds[1].Revents != 0 {
			return
		}
		var keys []Key
		if n == 0 {
			keys = d.Flush()
		} else {
			got, err := unix.Read(int(t.in.Fd()), buf)
			if err == unix.EINTR || err == unix.EAGAIN {
				continue
			}
			if err != nil || got == 0 {
				close(t.keys) // hung up
				return
			}
			keys = d.Feed(buf[:got])
		}
		for _, k := range keys {
			if !t.send(k, fds[1:]) {
				return
			}
		}
	}
}

// send passes a key on, unless the reader is to end.
func (t *Terminal) send(k Key, stop []unix.PollFd) bool {
	for {
		select {
		case t.keys <- k:
			return true
		case <-time.After(escapeWait):
		}
		if n, _ := unix.Poll(stop, 0); n > 0 {
			return false
		}
	}
}

// contWait is for a stop that does not come about: a group of processes without
// a shell that would continue it is not stopped.
const contWait = 200 * time.Millisecond

// Suspend gives the terminal back and stops the process group, as ^Z does to
// other programs, until the shell continues it. The program must never have
// asked for SIGTSTP: Go does not give its default action back.
func (t *Terminal) Suspend() error {
	t.Leave()
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, unix.SIGCONT)
	defer signal.Stop(cont)
	if err := unix.Kill(0, unix.SIGTSTP); err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	select {
	case <-cont:
	case <-time.After(contWait):
	}
	return t.Resume()
}
