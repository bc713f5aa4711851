package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

type dead struct{}

func (dead) death() error { return errors.New("a part ended") }

// TestInterrupted: no step is taken, the agent's start last of all, once a part has
// died or a signal has come.
func TestInterrupted(t *testing.T) {
	r := &running{died: make(chan mortal, 1), signals: make(chan os.Signal, 1)}
	if err := r.interrupted(); err != nil {
		t.Errorf("with all well: %v", err)
	}
	r.died <- dead{}
	if err := r.interrupted(); err == nil || !strings.Contains(err.Error(), "a part ended") {
		t.Errorf("with a part dead: %v", err)
	}
	r.signals <- syscall.SIGTERM
	if err := r.interrupted(); err == nil || !strings.Contains(err.Error(), "not started") {
		t.Errorf("with a signal: %v", err)
	}
}
