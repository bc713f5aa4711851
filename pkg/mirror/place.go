package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"bottle/pkg/atomicfile"
	"bottle/pkg/state"

	"golang.org/x/sys/unix"
)

// A Place is where a pipelock runs: how its configuration, its log and its
// process are reached. Local and Container are the two there are.
type Place interface {
	// String is the configuration's name in messages.
	String() string
	// Lock lets one edit of the configuration follow another.
	Lock(ctx context.Context) (unlock func(), err error)
	// Read is the configuration.
	Read(ctx context.Context) ([]byte, error)
	// Write replaces it whole. Pipelock takes it up with the next signal, or
	// before.
	Write(ctx context.Context, config []byte) error
	// Alive is nil while the process is there, state.ErrGone when it has ended.
	Alive(ctx context.Context) error
	// Reload has the process read the configuration; state.ErrGone as above.
	Reload(ctx context.Context) error
	// Restart starts it anew.
	Restart(ctx context.Context) error
	// Live is the SHA-256 of the configuration that it said last that it runs,
	// "" when the end of its log does not tell.
	Live(ctx context.Context) (string, error)
	// Tail is what it will say from now on.
	Tail(ctx context.Context) (Tail, error)
}

// A Tail is the end of a pipelock's log.
type Tail interface {
	// Next are the lines that have come since the last call.
	Next(ctx context.Context) ([][]byte, error)
	Close() error
}

// Local is a pipelock on this machine.
type Local struct {
	Config  string     // its configuration file
	Log     string     // where both its output streams go
	Process state.Part // itself, or the one that Starter says
	// Starter tells that Process is one that has started it, and starts it anew
	// on USR1 (sandbox.Part).
	Starter bool
}

// ErrNoRestart says that the pipelock is one that nobody would start again.
var ErrNoRestart = errors.New("this pipelock was not started by bottlerun, and nothing would start it again")

func (l Local) String() string { return l.Config }

// Lock is on the folder, since the file itself is replaced.
func (l Local) Lock(context.Context) (unlock func(), err error) {
	return lockFolder(filepath.Dir(l.Config))
}

func lockFolder(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return func() { d.Close() }, nil
}

// Read reads the file.
func (l Local) Read(context.Context) ([]byte, error) {
	data, err := os.ReadFile(l.Config)
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("%s: larger than %d bytes", l.Config, MaxBytes)
	}
	return data, err
}

// Write replaces the file, with the mode and owner that it has, unless it holds
// config already. A symlink stays one: its target is replaced.
func (l Local) Write(ctx context.Context, config []byte) error {
	if now, err := l.Read(ctx); err == nil && bytes.Equal(now, config) {
		return nil
	}
	path, err := filepath.EvalSymlinks(l.Config)
	if err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, config, fi.Mode().Perm()); err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && os.Geteuid() == 0 && st.Uid != 0 {
		// Root edits another's file: pipelock reads it a moment (100 ms) later.
		return os.Chown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}

// Alive looks for the process.
func (l Local) Alive(context.Context) error {
	if !l.Process.Alive() {
		return state.ErrGone
	}
	return nil
}

// Reload sends HUP.
func (l Local) Reload(context.Context) error { return l.Process.Signal(syscall.SIGHUP) }

// Restart sends USR1 to the starter; ErrNoRestart when there is none, since to
// pipelock itself the signal is its kill switch.
func (l Local) Restart(context.Context) error {
	if !l.Starter {
		return ErrNoRestart
	}
	return l.Process.Signal(syscall.SIGUSR1)
}

// Live reads the end of the log.
func (l Local) Live(context.Context) (string, error) { return liveHash(l.Log) }

// Tail starts at the end of the log.
func (l Local) Tail(context.Context) (Tail, error) { return newTail(l.Log) }
