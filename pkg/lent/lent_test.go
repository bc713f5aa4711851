package lent

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// listening is a socket that listens, and its address.
func listening(t *testing.T) (*os.File, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, ln.Addr().String()
}

// descriptor is one that Listener may take over.
func descriptor(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// answers: a connection to address is one that ln accepts.
func answers(t *testing.T, ln net.Listener, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := ln.Accept()
	if err != nil || got.RemoteAddr().String() != c.LocalAddr().String() {
		t.Fatalf("accepted %v, %v; want the connection from %s", got, err, c.LocalAddr())
	}
	got.Close()
}

func TestListenerItself(t *testing.T) {
	f, address := listening(t)
	ln, err := Listener(t.Context(), descriptor(t, f))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	answers(t, ln, address)
}

// TestLent: the borrower waits, and serves what was made meanwhile.
func TestLent(t *testing.T) {
	l, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	type got struct {
		ln  net.Listener
		err error
	}
	done := make(chan got, 1)
	go func() {
		ln, err := Listener(t.Context(), descriptor(t, theirs))
		done <- got{ln, err}
	}()
	f, address := listening(t)
	if err := l.Lend(f); err != nil {
		t.Fatal(err)
	}
	g := <-done
	if g.err != nil {
		t.Fatal(g.err)
	}
	defer g.ln.Close()
	answers(t, g.ln, address)
}

func TestNothingLent(t *testing.T) {
	l, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	l.Close()
	if _, err := Listener(t.Context(), descriptor(t, theirs)); err == nil || !strings.Contains(err.Error(), "lent nothing") {
		t.Errorf("got %v; want that nothing was lent", err)
	}
}

// TestBytesAlone: a word without a descriptor is no listener.
func TestBytesAlone(t *testing.T) {
	l, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if _, err := l.conn.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Listener(t.Context(), descriptor(t, theirs)); err == nil || !strings.Contains(err.Error(), "no descriptor") {
		t.Errorf("got %v; want that no descriptor came", err)
	}
}

// TestInterrupted: a borrower that is told to end does not wait.
func TestInterrupted(t *testing.T) {
	_, theirs, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Listener(ctx, descriptor(t, theirs)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the end of the context", err)
	}
}

func TestNoSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Listener(t.Context(), descriptor(t, f)); err == nil {
		t.Error("a file was taken for a listener")
	}
}
