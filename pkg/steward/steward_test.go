package steward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/docker"
)

// A way is a stream to serve in this process.
type way struct {
	io.Reader
	in    *io.PipeWriter
	out   *io.PipeReader
	ended chan struct{}
	err   error
}

func (w *way) Write(p []byte) (int, error) { return w.in.Write(p) }
func (w *way) Ended() <-chan struct{}      { return w.ended }
func (w *way) Err() error                  { return w.err }
func (w *way) Close()                      { w.in.Close() }
func (w *way) Kill()                       { w.in.CloseWithError(errors.New("killed")) }

// serving runs serve for a folder.
func serving(t *testing.T, folder string, silence time.Duration) *way {
	t.Helper()
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	w := &way{Reader: out, in: in, out: out, ended: make(chan struct{}), err: io.EOF}
	go func() {
		if err := serve(t.Context(), folder, silence, stdin, stdout); err != nil {
			w.err = err
		}
		stdin.Close()
		stdout.Close()
		close(w.ended)
	}()
	t.Cleanup(w.Kill)
	return w
}

func opened(t *testing.T, folder string) *Steward {
	t.Helper()
	s, err := begin(t.Context(), serving(t, folder, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFiles: they are written whole with their mode, read within their limit, and
// what cannot be done is told and ends nothing.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	s, ctx := opened(t, dir), t.Context()
	data := bytes.Repeat([]byte("a line\nok 3\n\n"), 200_000)
	for name, text := range map[string][]byte{"routes.yaml.next": data, "tokens/SLOT": []byte("secret"), "empty": nil} {
		if err := s.Write(ctx, name, text, 0o440); err != nil {
			t.Fatal(err)
		}
		got, err := s.Read(ctx, name, int64(len(text)))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode() != 0o440 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
	}
	if _, err := s.Read(ctx, "tokens/SLOT", 5); err == nil || !strings.Contains(err.Error(), "more than 5 bytes") {
		t.Errorf("above the limit: %v", err)
	}
	if err := errors.Join(s.Remove(ctx, "empty"), s.Remove(ctx, "empty")); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(ctx, "empty", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	if err := os.Symlink("tokens/SLOT", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "tokens", "../x", "/etc/passwd", "a b", "a\nremove", ""} {
		if got, err := s.Read(ctx, name, 100); err == nil {
			t.Errorf("%q: %q", name, got)
		}
	}
	if err := s.Signal(ctx, 99); err == nil {
		t.Error("a signal without a name was sent")
	}
	if err := s.Write(ctx, "large", make([]byte, largest+1), 0o600); err == nil {
		t.Error("too much was written")
	}
	if got, err := s.Read(ctx, "tokens/SLOT", 6); string(got) != "secret" || err != nil {
		t.Errorf("after all that: %q, %v", got, err)
	}
}

// TestCutWrite: of a write whose bytes end early nothing is there.
func TestCutWrite(t *testing.T) {
	dir := t.TempDir()
	w := serving(t, dir, time.Minute)
	line := make([]byte, len(held)+1)
	if _, err := io.ReadFull(w, line); err != nil || string(line) != held+"\n" {
		t.Fatalf("%q, %v", line, err)
	}
	fmt.Fprintf(w, "write routes.yaml.next 100 644\nroutes:\n")
	w.Close()
	<-w.ended
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestHeld: of two only one has the lock, and the second gets it when the first one
// ends.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	first := opened(t, dir)
	second := make(chan error, 1)
	go func() {
		_, err := begin(t.Context(), serving(t, dir, time.Minute))
		second <- err
	}()
	select {
	case err := <-second:
		t.Fatalf("the second has it too: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	first.Close()
	if err := <-second; err != nil {
		t.Error(err)
	}
	<-first.Ended()
	if err := first.Write(t.Context(), "late", nil, 0o600); err == nil {
		t.Error("a write without the lock")
	}
}

// TestSilent: a holder whose machine is gone, so that nobody ends its stream, holds
// nothing up; one that is heard from does.
func TestSilent(t *testing.T) {
	w := serving(t, t.TempDir(), time.Second)
	go io.Copy(io.Discard, w)
	began := time.Now()
	for range 24 {
		time.Sleep(50 * time.Millisecond)
		if _, err := w.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	<-w.ended
	if time.Since(began) < 1200*time.Millisecond {
		t.Errorf("ended after %v", time.Since(began))
	}
}

// TestWaitsNot: who goes away while he waits does not get the lock later.
func TestWaitsNot(t *testing.T) {
	dir := t.TempDir()
	opened(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	w := serving(t, dir, time.Minute)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := begin(ctx, w); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-w.ended
	if !strings.Contains(w.err.Error(), "nobody waits for the lock") {
		t.Errorf("it ended with %v", w.err)
	}
}

// TestOtherVersion: a program that knows no steward has said so by its exit code.
func TestOtherVersion(t *testing.T) {
	w := &way{Reader: strings.NewReader(""), ended: make(chan struct{}), err: &docker.Error{Program: "docker", Args: []string{"exec"}, Code: 2, Stderr: "unknown verb _steward"}}
	close(w.ended)
	_, w.in = io.Pipe()
	if _, err := begin(t.Context(), w); !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "unknown verb _steward\nhint: use the toolkit that the bottle was started with") {
		t.Errorf("got %v", err)
	}
}

// TestEndless: a container that speaks without an end fills no memory.
func TestEndless(t *testing.T) {
	said := 0
	w := &way{Reader: io.MultiReader(strings.NewReader(held+"\n"), endless{&said}), ended: make(chan struct{}), err: io.EOF}
	var from *io.PipeReader
	from, w.in = io.Pipe()
	go io.Copy(io.Discard, from)
	t.Cleanup(func() { close(w.ended) })
	s, err := begin(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), "x", 10); err == nil || !strings.Contains(err.Error(), "wanted an answer") || len(err.Error()) > 300 {
		t.Errorf("got %.400v", err)
	}
	if said > 1<<20 {
		t.Errorf("%d bytes were taken", said)
	}
}

// endless is a line that does not end.
type endless struct{ said *int }

func (e endless) Read(p []byte) (int, error) {
	if *e.said += len(p); *e.said > 1<<26 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestInOrder: a request that nobody waits for any more is done before the next
// one, if at all.
func TestInOrder(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	data := make([]byte, 1<<20)
	var all sync.WaitGroup
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		all.Go(func() { time.Sleep(time.Duration(i) * 100 * time.Microsecond); cancel() })
		if err := s.Write(ctx, "next", data, 0o600); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := s.Remove(t.Context(), "next"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "next")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("round %d: it came after the removal: %v", i, err)
		}
	}
	all.Wait()
}
