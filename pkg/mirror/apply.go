package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Pipelock is a running pipelock.
type Pipelock struct {
	Place
	Wait time.Duration // how long it may take to confirm a change; 5 s when 0
}

// A Wish is what Apply is to make of the configuration.
type Wish struct {
	// Names are to be on the allowlist, as Names returns them; with Replace,
	// nothing else.
	Names   []string
	Replace bool
	// Passed are hosts whose TLS pipelock is not to end, if it ends any.
	Passed []string
	// Restart allows to start it anew where it refuses to reload a change.
	Restart bool
	// Was is the SHA-256 of the configuration that was looked at, as Plan told it:
	// another one is refused. "" takes any.
	Was string
}

// Refused is the answer of a pipelock that keeps the configuration it runs.
type Refused struct {
	Reason   string
	Warnings []string // what it said of single settings
	// Restart tells that it would take the configuration at a start.
	Restart bool
}

func (e *Refused) Error() string {
	return strings.Join(append([]string{"pipelock refused: " + e.Reason}, e.Warnings...), "\n  ")
}

// ErrSilent says that pipelock did not confirm in time.
var ErrSilent = errors.New("pipelock did not confirm the change")

// resend is how often the signal is repeated. Pipelock is silent about a reload
// of what it loaded less than 2 s ago, and drops a signal while it is busy.
const resend = 700 * time.Millisecond

// poll is how often its log is looked at.
const poll = 10 * time.Millisecond

// Apply makes the wish true in the configuration of the running pipelock, as
// Merge does, and returns once it runs with it. It changes nothing when all is
// there. A file that pipelock does not run as it stands, because it refused it
// or missed it, is loaded first: another change is never written together with
// a host. Errors are those of Install and Merge, and *Refused for such a file
// and for hosts that are to be passed and cannot be without a restart.
func (p Pipelock) Apply(ctx context.Context, w Wish) (Change, error) {
	unlock, err := p.Lock(ctx)
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	old, err := p.Read(ctx)
	if err != nil {
		return Change{}, err
	}
	next, change, err := p.plan(old, w)
	if err != nil {
		return Change{}, err
	}
	if err := p.settle(ctx, old, w.Restart); err != nil {
		return Change{}, err
	}
	if bytes.Equal(old, next) {
		return change, nil
	}
	change.Restarted, err = p.install(ctx, old, next, w.Restart)
	return change, err
}

// Plan is what Apply would change.
func (p Pipelock) Plan(ctx context.Context, w Wish) (Change, error) {
	old, err := p.Read(ctx)
	if err != nil {
		return Change{}, err
	}
	_, change, err := p.plan(old, w)
	return change, err
}

func (p Pipelock) plan(old []byte, w Wish) ([]byte, Change, error) {
	if w.Was != "" && w.Was != digest(old) {
		return nil, Change{}, &Refused{Reason: p.String() + " is no longer what was looked at", Warnings: []string{"nothing written, pipelock unchanged"}}
	}
	next, change, err := Merge(p.String(), old, w.Names, w.Replace)
	change.Was = digest(old)
	if err != nil {
		return nil, change, err
	}
	next, change.Passed, err = mergePassed(p.String(), next, w.Passed)
	if err == nil && len(change.Passed) > 0 && !w.Restart {
		err = &Refused{Reason: "it takes up hosts whose TLS it is not to end at a start only: " + strings.Join(change.Passed, " "), Restart: true,
			Warnings: []string{"nothing written, pipelock unchanged"}}
	}
	return next, change, err
}

// Install writes next over the configuration, which must still be old, and
// returns when pipelock runs it: it has read it again, or, with restart and
// where it will not, it was started anew. When pipelock refuses it (*Refused)
// or says nothing (ErrSilent), old is put back, and the message says what runs
// now.
func (p Pipelock) Install(ctx context.Context, old, next []byte, restart bool) (restarted bool, err error) {
	unlock, err := p.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if now, err := p.Read(ctx); err != nil {
		return false, err
	} else if !bytes.Equal(now, old) {
		return false, &Refused{Reason: p.String() + " was changed meanwhile; nothing written"}
	}
	return p.install(ctx, old, next, restart)
}

func (p Pipelock) install(ctx context.Context, old, next []byte, restart bool) (restarted bool, err error) {
	err = p.load(ctx, next, reload)
	var refused *Refused
	if restart && errors.As(err, &refused) && refused.Restart {
		restarted, err = true, p.load(ctx, next, startAnew)
	}
	if err == nil {
		return restarted, nil
	}
	// The operator's interrupt ends the waiting, not the putting back.
	ctx = context.WithoutCancel(ctx)
	if p.untouched(ctx, old, err) {
		return restarted, fmt.Errorf("%w\npipelock unchanged: its configuration was not written", err)
	}
	how := putBack
	if restarted {
		how = startAnew
	}
	if back := p.load(ctx, old, how); back != nil {
		return restarted, fmt.Errorf("%w\npipelock unknown: its old configuration was put back but not confirmed: %v", err, back)
	}
	return restarted, fmt.Errorf("%w\npipelock unchanged: its old configuration was put back and confirmed", err)
}

// untouched tells whether an error came before anything was written.
func (p Pipelock) untouched(ctx context.Context, old []byte, err error) bool {
	var unwritten *unwritten
	if !errors.As(err, &unwritten) {
		return false
	}
	now, err := p.Read(ctx)
	return err == nil && bytes.Equal(now, old)
}

// unwritten is an error of writing the file.
type unwritten struct{ error }

func (e *unwritten) Unwrap() error { return e.error }

// settle makes sure that pipelock runs the file as it stands.
func (p Pipelock) settle(ctx context.Context, data []byte, restart bool) error {
	if err := p.Alive(ctx); err != nil {
		return fmt.Errorf("pipelock: %w", err)
	}
	live, err := p.Live(ctx)
	if err != nil || live == digest(data) {
		return err
	}
	err = p.load(ctx, data, reload)
	var refused *Refused
	if !errors.As(err, &refused) {
		return err
	}
	if restart && refused.Restart {
		return p.load(ctx, data, startAnew)
	}
	return fmt.Errorf("%w\n%v holds this change already; nothing written, pipelock unchanged\nhint: take it back with 'pipemirror edit', or take it up with -restart", err, p.Place)
}

// How load goes about it.
const (
	reload    = iota
	putBack   // take no refusal for an answer: it may be about what was there before
	startAnew // where a reload is refused
)

// load has pipelock run data. It is *Refused, ErrSilent, state.ErrGone, or the
// error of the place.
func (p Pipelock) load(ctx context.Context, data []byte, how int) error {
	t, err := p.Tail(ctx)
	if err != nil {
		return &unwritten{err}
	}
	defer t.Close()
	if err := p.Write(ctx, data); err != nil {
		return &unwritten{err}
	}
	wait := p.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, ErrSilent)
	defer cancel()
	if how == startAnew {
		return p.confirm(ctx, t, digest(data), true, p.Restart, p.Alive)
	}
	return p.confirm(ctx, t, digest(data), how == putBack, p.Reload, p.Reload)
}

// confirm signals pipelock, and again, until it says that it runs the file with
// the digest want. When stubborn, a refusal is not the end.
func (p Pipelock) confirm(ctx context.Context, t Tail, want string, stubborn bool, signal, again func(context.Context) error) error {
	if err := signal(ctx); err != nil {
		return fmt.Errorf("pipelock: %w", orSilent(ctx, err))
	}
	repeat := time.NewTicker(resend)
	defer repeat.Stop()
	look := time.NewTicker(poll)
	defer look.Stop()
	var warnings []string
	for {
		done, err := judge(ctx, t, want, stubborn, &warnings)
		if done || err != nil {
			return orSilent(ctx, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		case <-repeat.C:
			if err := again(ctx); err != nil {
				return fmt.Errorf("pipelock: %w", orSilent(ctx, err))
			}
		}
	}
}

// orSilent is err, or why ctx has ended when that is its cause.
func orSilent(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// judge reads on in the log: done when pipelock runs the file with the digest
// want, *Refused when it keeps another, unless stubborn.
func judge(ctx context.Context, t Tail, want string, stubborn bool, warnings *[]string) (done bool, err error) {
	texts, err := t.Next(ctx)
	if err != nil {
		return false, err
	}
	for _, l := range parseLines(texts) {
		switch {
		case l.live == want:
			return true, nil
		case l.refused != "" && !stubborn:
			// It has read and checked what it "rejected": it would start with it.
			return false, &Refused{Reason: l.refused, Warnings: *warnings, Restart: strings.HasPrefix(l.refused, "rejected: ")}
		case l.warning != "":
			*warnings = append(*warnings, l.warning)
		}
	}
	return false, nil
}

// digest is the config_hash that pipelock gives a file with this content.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Runs tells whether pipelock said that it runs the configuration as it stands.
func (p Pipelock) Runs(ctx context.Context, config []byte) (bool, error) {
	live, err := p.Live(ctx)
	return live == digest(config), err
}
