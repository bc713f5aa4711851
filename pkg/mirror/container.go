package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/state"
	"bottle/pkg/steward"
)

// ContainerConfig is the configuration of a bottle's pipelock in its container.
const ContainerConfig = "/bottle/pipelock/" + ConfigFile

// A Container is a pipelock in one, which process 1 there starts (sandbox.Part).
// While it is locked all goes through the steward there.
type Container struct {
	Engine *docker.Engine
	ID     string    // of the container
	Config string    // its configuration file, in the container
	Dir    state.Dir // the bottle's, on this machine

	at   *steward.Steward
	read *position // how far its log was read since the lock; nil when it was not
}

// String is the place as docker cp writes it, the container by a short ID.
func (c *Container) String() string { return c.ID[:min(12, len(c.ID))] + ":" + c.Config }

// Lock is on a folder of this machine, which spares others of it the engine, and
// on the folder of the configuration, for edits from other machines.
func (c *Container) Lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir.Pipelock(), 0o700); err != nil {
		return nil, err
	}
	here, err := lockFolder(c.Dir.Pipelock())
	if err != nil {
		return nil, err
	}
	c.at, err = steward.Open(ctx, c.Engine, c.ID, "/bottle/bin/bottlerun", path.Dir(c.Config))
	if err != nil {
		here()
		return nil, c.told(ctx, err)
	}
	return func() {
		c.at.Close()
		c.at, c.read = nil, nil
		here()
	}, nil
}

// Read is of a container that may have ended, too.
func (c *Container) Read(ctx context.Context) ([]byte, error) {
	if c.at != nil {
		config, err := c.at.Read(ctx, path.Base(c.Config), MaxBytes)
		return config, c.told(ctx, err)
	}
	return c.Engine.File(ctx, c.ID, c.Config, MaxBytes)
}

// Write puts the file beside the configuration, its user's alone; process 1 renames
// it with the next signal. It is written even when the configuration is the same, over whatever
// another edit may have left there.
func (c *Container) Write(ctx context.Context, config []byte) error {
	if c.at == nil {
		return errUnlocked
	}
	return c.told(ctx, c.at.Write(ctx, path.Base(c.Config)+".next", config, 0o600))
}

// errUnlocked says that a change was wanted without the lock.
var errUnlocked = errors.New("pipelock's configuration is not locked")

// Alive asks the engine, but for a steward, who ends with the container.
func (c *Container) Alive(ctx context.Context) error {
	if c.at != nil && !c.ended() {
		return nil
	}
	at, err := c.Engine.Inspect(ctx, c.ID)
	if err == nil && !at.Running() {
		err = docker.ErrNotRunning
	}
	return gone(err)
}

// Reload sends HUP to process 1, which passes it on.
func (c *Container) Reload(ctx context.Context) error { return c.signal(ctx, syscall.SIGHUP) }

// Restart sends USR1 to process 1.
func (c *Container) Restart(ctx context.Context) error { return c.signal(ctx, syscall.SIGUSR1) }

func (c *Container) signal(ctx context.Context, sig syscall.Signal) error {
	if c.at == nil {
		return errUnlocked
	}
	return c.told(ctx, c.at.Signal(ctx, sig))
}

// told is err, or why: the steward ends with the container, of which the engine may
// not know for a while.
func (c *Container) told(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || c.at == nil {
		return gone(err)
	}
	for end := time.Now().Add(time.Second); ; time.Sleep(50 * time.Millisecond) {
		if now := c.Alive(ctx); now != nil {
			return now
		}
		if !c.ended() || time.Now().After(end) {
			return err
		}
	}
}

// ended tells whether the steward has.
func (c *Container) ended() bool {
	select {
	case <-c.at.Ended():
		return true
	default:
		return false
	}
}

// gone is err in the words of state, where it means that.
func gone(err error) error {
	if errors.Is(err, docker.ErrNotRunning) || errors.Is(err, docker.ErrNoContainer) {
		return fmt.Errorf("%w: %v", state.ErrGone, err)
	}
	return err
}

// logLines is how far back the engine's log is read for the configuration that
// runs. Where it does not tell, pipelock is asked to load the file once more.
const logLines = 20_000

// Live reads the end of the engine's log.
func (c *Container) Live(ctx context.Context) (hash string, err error) {
	lines, err := c.Engine.Logs(ctx, c.ID, time.Time{}, logLines)
	if err != nil {
		return "", err
	}
	if c.read = new(position); len(lines) == 0 {
		c.read = nil
	}
	for _, l := range lines {
		c.read.isNew(l)
		if l, ok := parseLine(l.Text); ok && l.live != "" {
			hash = l.live
		}
	}
	return hash, nil
}

// Tail starts where the log was read to, or at its last line. The engine's clock
// may be another than this machine's.
func (c *Container) Tail(ctx context.Context) (Tail, error) {
	if c.read == nil {
		if _, err := c.Live(ctx); err != nil {
			return nil, err
		}
	}
	if c.read == nil {
		return nil, fmt.Errorf("%v: the engine has no log of pipelock: %w", c, fs.ErrNotExist)
	}
	log, err := c.Engine.Follow(c.ID, c.read.at)
	return &engineTail{log, c.read, *c.read}, err
}

// A position is a place in the engine's log.
type position struct {
	at   time.Time
	seen int // lines of that very moment
}

// isNew tells whether the line comes after the position, and moves it there.
func (p *position) isNew(l docker.LogLine) bool {
	switch {
	case l.Time.Before(p.at):
		return false
	case l.Time.After(p.at):
		p.at, p.seen = l.Time, 0
	}
	p.seen++
	return true
}

// An engineTail follows the engine's log.
type engineTail struct {
	log  *docker.Follower
	read *position
	from position // the engine begins with the lines of its moment
}

// Next are the lines after those that were read before.
func (t *engineTail) Next(context.Context) (texts [][]byte, err error) {
	lines, err := t.log.Lines()
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		if t.from.seen > 0 && !l.Time.After(t.from.at) {
			if l.Time.Equal(t.from.at) {
				t.from.seen--
			}
			continue
		}
		if t.read.isNew(l) {
			texts = append(texts, l.Text)
		}
	}
	return texts, nil
}

// Close ends the following.
func (t *engineTail) Close() error {
	t.log.Close()
	return nil
}
