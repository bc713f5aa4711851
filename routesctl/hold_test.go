package main

import (
	"bufio"
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"

	"bottle/pkg/cli"
)

// holder runs _hold; in is its standard input, and it says held and then ends.
func holder(t *testing.T, file, silence string) (in io.WriteCloser, said <-chan string, ended <-chan error) {
	t.Helper()
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	lines, end := make(chan string, 1), make(chan error, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
	}()
	go func() {
		err := holdVerb(t.Context(), &cli.Env{Args: []string{file, silence}, Stdin: stdin, Stdout: stdout, Stderr: io.Discard})
		stdout.Close()
		end <- err
	}()
	t.Cleanup(func() { in.Close() })
	return in, lines, end
}

// TestHold: of two only one has the lock, and the second gets it when the first
// one's standard input ends.
func TestHold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "apply.lock")
	in, said, ended := holder(t, file, "1m")
	if got := <-said; got != held+"\n" {
		t.Fatalf("got %q", got)
	}
	_, second, _ := holder(t, file, "1m")
	select {
	case got := <-second:
		t.Errorf("the second said %q while the first holds it", got)
	case <-time.After(100 * time.Millisecond):
	}
	in.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-second; got != held+"\n" {
		t.Errorf("the second said %q", got)
	}
}

// TestHoldSilent: a holder whose machine is gone, so that nobody ends its standard
// input, holds nothing up; one that is heard from does.
func TestHoldSilent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "apply.lock")
	in, said, ended := holder(t, file, "1s")
	<-said
	began := time.Now()
	for range 24 {
		time.Sleep(50 * time.Millisecond)
		if _, err := in.Write([]byte("\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil || time.Since(began) < 1200*time.Millisecond {
		t.Errorf("ended after %v: %v", time.Since(began), err)
	}
}

// TestHoldWaitsNot: who goes away while he waits does not get the lock later.
func TestHoldWaitsNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "apply.lock")
	_, said, _ := holder(t, file, "1m")
	<-said
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := holdVerb(ctx, &cli.Env{Args: []string{file, "1m"}, Stdin: new(neverEnds), Stdout: io.Discard}); err == nil {
		t.Error("it waited, and got the lock")
	}
}

// neverEnds is a standard input that stays open.
type neverEnds struct{}

func (*neverEnds) Read([]byte) (int, error) { select {} }
