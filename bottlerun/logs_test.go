package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/cli"
)

// A watched is a writer that others may look at meanwhile.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// TestTailOverRotation: a log is followed from its predecessor on, whenever it is
// begun anew, to its last line.
func TestTailOverRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.jsonl")
	write := func(path, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write(path+".1", "old\n")
	write(path, "0\n")
	var out, notes watched
	ended := make(chan bool)
	running := func() bool {
		select {
		case <-ended:
			return false
		default:
			return true
		}
	}
	l := &tail{env: &cli.Env{Prog: "test", Stdout: &out, Stderr: &notes}, path: path, running: running}
	done := make(chan error, 1)
	go func() { done <- l.print(t.Context()) }()
	want := "old\n0\n"
	shown := func() {
		t.Helper()
		for late := time.Now().Add(20 * time.Second); out.String() != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(late) {
				t.Fatalf("got %q; wanted %q", out.String(), want)
			}
		}
	}
	shown()
	for i := 1; i < 6; i++ {
		write(path, strconv.Itoa(i)+"\n")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		write(path, "after "+strconv.Itoa(i)+"\n")
		want += strconv.Itoa(i) + "\nafter " + strconv.Itoa(i) + "\n"
		shown()
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(path, "last\n")
	close(ended)
	if err := <-done; err != nil || out.String() != want+"last\n" || notes.String() != "" {
		t.Errorf("%v, %q; wanted %q and the last; %s", err, out.String(), want, notes.String())
	}
}

// TestTailTellsLoss: of a log that was begun anew twice between two looks a part
// is gone, and that is told.
func TestTailTellsLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.jsonl")
	for _, p := range []string{path, path + ".1"} {
		if err := os.WriteFile(p, []byte("first\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, notes watched
	l := &tail{env: &cli.Env{Prog: "test", Stdout: &out, Stderr: &notes}, path: path}
	l.running = func() bool {
		if strings.Contains(out.String(), "third") {
			return false
		}
		for _, text := range []string{"second\n", "third\n"} {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Error(err)
			}
		}
		return true
	}
	if err := l.print(t.Context()); err != nil || out.String() != "first\nfirst\nthird\n" || !strings.Contains(notes.String(), "lines are missing") {
		t.Errorf("%v: %q, %s", err, out.String(), notes.String())
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := &tail{env: &cli.Env{Stdout: &watched{}}, path: path, running: func() bool { return true }}
	if err := l.print(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.print(ctx); err != nil {
		t.Error(err)
	}
}
