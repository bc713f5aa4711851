package steward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/escape"

	"golang.org/x/sys/unix"
)

// Who holds the lock writes a line each beat; without one for silence the lock
// falls, for the machine may be gone with nobody to close its connections.
const (
	beat    = 5 * time.Second
	silence = 30 * time.Second
)

// Steward is the lock on a folder in a container, and the way to its files. It
// falls with this process, however that ends.
type Steward struct {
	stream  stream
	in      *bufio.Reader
	turn    chan struct{} // full while a request is under way
	writing sync.Mutex    // a beat is not within a request
}

// A stream leads to the program in the container.
type stream interface {
	io.ReadWriter
	Ended() <-chan struct{}
	Err() error
	Close()
	Kill()
}

// ErrVersion says that the program in the container knows no steward.
var ErrVersion = errors.New("the programs in the container are of another version of the toolkit")

// Open runs program in a container, one of the toolkit's that has the Verb, and
// waits until it has the lock on folder. Errors are docker's.
func Open(ctx context.Context, e *docker.Engine, container, program, folder string) (*Steward, error) {
	session, err := e.Session(container, program, Verb, folder, silence.String())
	if err != nil {
		return nil, err
	}
	return begin(ctx, session)
}

func begin(ctx context.Context, to stream) (*Steward, error) {
	s := &Steward{stream: to, in: bufio.NewReader(to), turn: make(chan struct{}, 1)}
	go s.beat()
	line := make(chan error, 1)
	go func() {
		text, err := s.in.ReadSlice('\n')
		if err != nil {
			err = s.why(err)
		} else if string(text) != held+"\n" {
			err = fmt.Errorf("%q from the container; wanted %q", text, held)
		}
		line <- err
	}()
	var err error
	select {
	case err = <-line:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		return s, nil
	}
	s.Close()
	var no *docker.Error
	if errors.As(err, &no) && no.Code == 2 {
		return nil, fmt.Errorf("%w: %w\nhint: use the toolkit that the bottle was started with, or start the bottle again", ErrVersion, err)
	}
	return nil, err
}

func (s *Steward) beat() {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if s.writing.TryLock() { // else he is heard from anyway
				s.stream.Write([]byte("\n"))
				s.writing.Unlock()
			}
		case <-s.stream.Ended():
			return
		}
	}
}

// Ended is closed when the lock is lost.
func (s *Steward) Ended() <-chan struct{} { return s.stream.Ended() }

// Close gives the lock back.
func (s *Steward) Close() { s.stream.Close() }

// Read is a file of the folder, of limit bytes at most; fs.ErrNotExist when there
// is none.
func (s *Steward) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	return s.ask(ctx, request{verb: "read", name: name, n: limit})
}

// Write replaces a file of the folder whole.
func (s *Steward) Write(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	_, err := s.ask(ctx, request{verb: "write", name: name, n: int64(len(data)), mode: mode, data: data})
	return err
}

// Remove takes a file out of the folder; a missing one is no error.
func (s *Steward) Remove(ctx context.Context, name string) error {
	_, err := s.ask(ctx, request{verb: "remove", name: name})
	return err
}

// Signal sends sig to process 1 of the container.
func (s *Steward) Signal(ctx context.Context, sig syscall.Signal) error {
	name := unix.SignalName(sig)
	if name == "" {
		return fmt.Errorf("signal %d; wanted one that has a name", sig)
	}
	_, err := s.ask(ctx, request{verb: "signal", name: name})
	return err
}

// ask has a request answered. When ctx ends first the request may still be done:
// before the next one, if at all.
func (s *Steward) ask(ctx context.Context, q request) ([]byte, error) {
	if q.verb != "signal" && (!fs.ValidPath(q.name) || path.Clean(q.name) != q.name || strings.ContainsAny(q.name, " \t\r\n")) {
		return nil, fmt.Errorf("file %q; wanted one of the folder", q.name)
	}
	if q.n > largest {
		return nil, fmt.Errorf("%s: %d bytes; wanted %d at most", q.name, q.n, int64(largest))
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.turn }()
		late := time.AfterFunc(docker.Limit, s.stream.Kill) // every call ends by itself
		defer late.Stop()
		data, err := s.exchange(q)
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Steward) exchange(q request) ([]byte, error) {
	s.writing.Lock()
	_, err := fmt.Fprintf(s.stream, "%s %s %d %o\n", q.verb, q.name, q.n, q.mode.Perm())
	if err == nil && len(q.data) > 0 {
		_, err = s.stream.Write(q.data)
	}
	s.writing.Unlock()
	if err != nil {
		return nil, s.why(err)
	}
	line, err := s.in.ReadSlice('\n') // as long as the buffer at most: the container may say anything
	head := string(line)
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, s.why(err)
	}
	var n int64
	if _, err := fmt.Sscanf(head, "ok %d\n", &n); err == nil && n >= 0 && n <= q.n {
		data := make([]byte, n)
		if _, err := io.ReadFull(s.in, data); err != nil {
			return nil, s.why(err)
		}
		return data, nil
	}
	var kind, text string
	if _, err := fmt.Sscanf(head, "no %s %q\n", &kind, &text); err != nil {
		s.stream.Kill()
		return nil, fmt.Errorf("%q from the container; wanted an answer", head[:min(len(head), 200)])
	}
	if kind == "absent" {
		return nil, fmt.Errorf("%s: %w", q.name, fs.ErrNotExist)
	}
	return nil, errors.New(escape.Text(text, 0))
}

// why is the error of a stream that has ended, rather than that of the pipe.
func (s *Steward) why(err error) error {
	select {
	case <-s.stream.Ended():
		return s.stream.Err()
	case <-time.After(time.Second):
		return err
	}
}
