package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/state"

	"golang.org/x/sys/unix"
)

// A Pipelock is a running pipelock on this machine.
type Pipelock struct {
	Config  string        // its configuration file
	Log     string        // where both its output streams go
	Process state.Part    // itself
	Wait    time.Duration // how long it may take to confirm a change; 5 s when 0
}

// Refused is the answer of a pipelock that keeps the configuration it runs.
type Refused struct {
	Reason   string
	Warnings []string // what it said of single settings
}

func (e *Refused) Error() string {
	return strings.Join(append([]string{"pipelock refused: " + e.Reason}, e.Warnings...), "\n  ")
}

// ErrSilent says that pipelock did not confirm in time.
var ErrSilent = errors.New("pipelock did not confirm the change")

// resend is how often the signal is repeated. Pipelock is silent about a reload
// of what it loaded less than 2 s ago, and drops a signal while it is busy.
const resend = 700 * time.Millisecond

// Apply merges names into the configuration of the running pipelock, as Merge
// does, and returns once it runs with them. It changes nothing when all are
// there. A file that pipelock does not run as it stands, because it refused it
// or missed it, is loaded first: another change is never written together with
// a host. Errors are those of Install and Merge, and *Refused for such a file.
func (p Pipelock) Apply(ctx context.Context, names []string, replace bool) (Change, error) {
	unlock, err := p.lock()
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	old, err := os.ReadFile(p.Config)
	if err != nil {
		return Change{}, err
	}
	next, change, err := Merge(p.Config, old, names, replace)
	if err != nil {
		return Change{}, err
	}
	if err := p.settle(ctx, old); err != nil {
		return Change{}, err
	}
	if bytes.Equal(old, next) {
		return change, nil
	}
	return change, p.install(ctx, old, next)
}

// Install writes next over the configuration, which must still be old, and
// returns when pipelock runs it. When pipelock refuses it (*Refused) or says
// nothing (ErrSilent), old is put back, and the message says what runs now.
func (p Pipelock) Install(ctx context.Context, old, next []byte) error {
	unlock, err := p.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := os.ReadFile(p.Config); err != nil {
		return err
	} else if !bytes.Equal(now, old) {
		return &Refused{Reason: p.Config + " was changed meanwhile; nothing written"}
	}
	return p.install(ctx, old, next)
}

func (p Pipelock) install(ctx context.Context, old, next []byte) error {
	err := p.load(ctx, next, overwrite)
	if err == nil {
		return nil
	}
	if p.holds(old) {
		return fmt.Errorf("%w\npipelock unchanged: its configuration was not written", err)
	}
	// The operator's interrupt ends the waiting, not the putting back.
	// A refusal now is about next, which pipelock may load once more by its file
	// watch: only the confirmation counts.
	if back := p.load(context.WithoutCancel(ctx), old, putBack); back != nil {
		return fmt.Errorf("%w\npipelock unknown: its old configuration was put back but not confirmed: %v", err, back)
	}
	return fmt.Errorf("%w\npipelock unchanged: its old configuration was put back and confirmed", err)
}

func (p Pipelock) holds(data []byte) bool {
	now, err := os.ReadFile(p.Config)
	return err == nil && bytes.Equal(now, data)
}

// settle makes sure that pipelock runs the file as it stands.
func (p Pipelock) settle(ctx context.Context, data []byte) error {
	if !p.Process.Alive() {
		return fmt.Errorf("pipelock: %w", state.ErrGone)
	}
	live, err := liveHash(p.Log)
	if err != nil || live == digest(data) {
		return err
	}
	err = p.load(ctx, data, asItIs)
	var refused *Refused
	if errors.As(err, &refused) {
		return fmt.Errorf("%w\n%s holds this change already; nothing written, pipelock unchanged\nhint: take it back, or restart pipelock with it", err, p.Config)
	}
	return err
}

// How load goes about it.
const (
	asItIs    = iota // the file holds the data already
	overwrite        // write it first
	putBack          // write it first, and take no refusal for an answer
)

// load has pipelock run data. It is *Refused, ErrSilent, state.ErrGone, or the
// error of a file.
func (p Pipelock) load(ctx context.Context, data []byte, how int) error {
	t, err := newTail(p.Log)
	if err != nil {
		return err
	}
	defer t.close()
	if how != asItIs {
		if err := replaceFile(p.Config, data); err != nil {
			return err
		}
	}
	return p.confirm(ctx, t, digest(data), how == putBack)
}

// confirm signals pipelock until it says that it runs the file with the digest
// want. When stubborn, a refusal is not the end.
func (p Pipelock) confirm(ctx context.Context, t *tail, want string, stubborn bool) error {
	wait := p.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrSilent)
	defer cancel()
	signal := time.NewTicker(resend)
	defer signal.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("pipelock: %w", err)
	}
	var warnings []string
	for {
		done, err := judge(t, want, stubborn, &warnings)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		case <-signal.C:
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				return fmt.Errorf("pipelock: %w", err)
			}
		}
	}
}

// judge reads on in the log: done when pipelock runs the file with the digest
// want, *Refused when it keeps another, unless stubborn.
func judge(t *tail, want string, stubborn bool, warnings *[]string) (done bool, err error) {
	lines, err := t.next()
	if err != nil {
		return false, err
	}
	for _, l := range lines {
		switch {
		case l.live == want:
			return true, nil
		case l.refused != "" && !stubborn:
			return false, &Refused{l.refused, *warnings}
		case l.warning != "":
			*warnings = append(*warnings, l.warning)
		}
	}
	return false, nil
}

// replaceFile writes data over path with the mode and owner that it has. A
// symlink stays one: its target is replaced.
func replaceFile(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data, fi.Mode().Perm()); err != nil {
		return err
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && os.Geteuid() == 0 && st.Uid != 0 {
		// Root edits another's file: pipelock reads it a moment (100 ms) later.
		return os.Chown(path, int(st.Uid), int(st.Gid))
	}
	return nil
}

// lock lets one edit of the configuration follow another. It is on the folder,
// since the file itself is replaced.
func (p Pipelock) lock() (unlock func(), err error) {
	d, err := os.Open(filepath.Dir(p.Config))
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

// digest is the config_hash that pipelock gives a file with this content.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Runs tells whether pipelock said that it runs the configuration as it stands.
func (p Pipelock) Runs(config []byte) (bool, error) {
	live, err := liveHash(p.Log)
	return live == digest(config), err
}
