package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/reload"
	"bottle/pkg/state"
)

// local is the proxy of a bottle on this machine.
type local struct {
	dir    state.Dir
	record state.Record
}

func (l local) table(context.Context) ([]byte, error) { return os.ReadFile(l.dir.Routes()) }

func (l local) copyIn(_ context.Context, name string, data []byte, mode fs.FileMode) error {
	return atomicfile.Write(l.place(name), data, mode)
}

func (l local) remove(_ context.Context, name string) error { return removeFile(l.place(name)) }

// removeFile removes a file; that there is none is no error.
func removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l local) signal(_ context.Context, sig syscall.Signal) error {
	err := l.record.Parts["egress-proxy"].Signal(sig)
	if errors.Is(err, state.ErrGone) {
		return errProxyEnded
	}
	return err
}

func (l local) gone(context.Context) error {
	if !l.record.Parts["egress-proxy"].Alive() {
		return errProxyEnded
	}
	return nil
}

func (l local) status(context.Context) (reload.Status, error) { return reload.Read(l.dir.Status()) }

func (l local) place(name string) string { return filepath.Join(l.dir.Proxy(), name) }

// hold needs nothing: apply.lock is on the machine of the proxy.
func (l local) hold(context.Context) (*holding, error) { return &holding{}, nil }

// atStart: the environment comes before files.
func (l local) atStart(slot string) bool { return slices.Contains(l.record.Slots, slot) }

func (l local) hasPipelock() bool { return l.record.Parts["pipelock"].Pid != 0 }

func (l local) pipelock(context.Context) ([]byte, string, error) {
	if !l.hasPipelock() {
		return nil, "", nil
	}
	file := l.dir.PipelockConfig()
	config, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the bottle has a pipelock whose configuration is missing: %w", err)
	}
	return config, file, err
}

func (l local) run() string { return l.record.Started.UTC().Format(time.RFC3339Nano) }
