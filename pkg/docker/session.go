package docker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// Session is a program in a running container that is spoken to while it runs.
// It does not end with a context: its standard input is open until Close, or
// until this process ends, however it ends.
type Session struct {
	in    io.WriteCloser
	lines chan string
	ended chan struct{}
	err   error // once ended
	kill  func()
}

// Session starts a program in a running container.
func (e *Engine) Session(container string, args ...string) (*Session, error) {
	line, err := execArgs(container, true, args)
	if err != nil {
		return nil, err
	}
	began, ctx := time.Now(), context.Background()
	cmd := e.Command(ctx, line...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var notes bytes.Buffer
	cmd.Stderr = &bounded{b: &notes, left: 64 << 10}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, e.failed(ctx, line, err, "", began)
	}
	s := &Session{in: in, lines: make(chan string, 1), ended: make(chan struct{}), kill: func() { cmd.Process.Kill() }}
	go func() {
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case s.lines <- scan.Text():
			default: // more than anybody waits for
			}
		}
		s.err = errEnded
		if err := cmd.Wait(); err != nil {
			s.err = e.failed(ctx, line, err, quiet(notes.String()), began)
		}
		close(s.ended)
	}()
	return s, nil
}

var errEnded = errors.New("the program in the container has ended")

// Line is the next line that the program prints; an error when it ends first.
func (s *Session) Line(ctx context.Context) (string, error) {
	select {
	case line := <-s.lines:
		return line, nil
	case <-s.ended:
		select {
		case line := <-s.lines:
			return line, nil
		default:
			return "", s.err
		}
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Write sends to the program's standard input.
func (s *Session) Write(p []byte) (int, error) { return s.in.Write(p) }

// Ended is closed when the program, or the way to it, is gone.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Close ends the program's standard input, and waits a while for its end.
func (s *Session) Close() {
	s.in.Close()
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second):
		s.kill()
	}
}
