package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Session is a program in a running container that is spoken to while it runs.
// It does not end with a context: its standard input is open until Close, or
// until this process ends, however it ends.
type Session struct {
	in, out *os.File
	ended   chan struct{}
	err     error // once ended
	kill    func()
}

// Session starts a program in a running container.
func (e *Engine) Session(container string, args ...string) (*Session, error) {
	line, err := execArgs(container, true, args)
	if err != nil {
		return nil, err
	}
	return e.session(line, nil)
}

// session runs the CLI. With both, that takes what it prints to either stream, and
// there is nothing to be read.
func (e *Engine) session(line []string, both io.Writer) (*Session, error) {
	began, ctx := time.Now(), context.Background()
	cmd := e.Command(ctx, line...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var notes bytes.Buffer
	cmd.Stderr = &bounded{b: &notes, left: 64 << 10}
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	out, stdout, err := os.Pipe() // and not cmd's, which its Wait would close unread
	if err != nil {
		in.Close()
		return nil, err
	}
	defer stdout.Close()
	cmd.Stdin, cmd.Stdout = stdin, stdout
	if both != nil {
		cmd.Stdout, cmd.Stderr = both, both // one pipe, so that the order stays
	}
	if err := cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, e.failed(ctx, line, err, "", began)
	}
	s := &Session{in: in, out: out, ended: make(chan struct{}), kill: func() { cmd.Process.Kill() }}
	go func() {
		s.err = errEnded
		if err := cmd.Wait(); err != nil {
			s.err = e.failed(ctx, line, err, quiet(notes.String()), began)
		}
		close(s.ended)
	}()
	return s, nil
}

var errEnded = errors.New("the program in the container has ended")

// Read reads the program's standard output.
func (s *Session) Read(p []byte) (int, error) { return s.out.Read(p) }

// Write sends to the program's standard input.
func (s *Session) Write(p []byte) (int, error) { return s.in.Write(p) }

// Ended is closed when the program, or the way to it, is gone.
func (s *Session) Ended() <-chan struct{} { return s.ended }

// Err is why it has ended, once it has.
func (s *Session) Err() error {
	<-s.ended
	return s.err
}

// Close ends the program's standard input, and waits a while for its end.
func (s *Session) Close() {
	s.in.Close()
	select {
	case <-s.ended:
	case <-time.After(2 * time.Second):
		s.kill()
	}
	s.out.Close()
}

// Kill ends the command line that leads to the program, and with it what reads and
// writes here.
func (s *Session) Kill() { s.kill() }
