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
)

// ContainerConfig is the configuration of a bottle's pipelock in its container.
const ContainerConfig = "/bottle/pipelock/" + ConfigFile

// A Container is a pipelock in one, which process 1 there starts (sandbox.Part).
type Container struct {
	Engine *docker.Engine
	ID     string    // of the container
	Config string    // its configuration file, in the container
	Dir    state.Dir // the bottle's, on this machine
}

// String is the place as docker cp writes it, the container by a short ID.
func (c Container) String() string { return c.ID[:min(12, len(c.ID))] + ":" + c.Config }

// Lock is on a folder of this machine: edits from several machines at once are
// told apart by what the file holds alone.
func (c Container) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir.Pipelock(), 0o700); err != nil {
		return nil, err
	}
	return lockFolder(c.Dir.Pipelock())
}

func (c Container) entry(ctx context.Context) (docker.Entry, error) {
	entries, err := c.Engine.CopyOut(ctx, c.ID, c.Config, MaxBytes)
	if err != nil {
		return docker.Entry{}, err
	}
	if len(entries) != 1 || !entries[0].Mode.IsRegular() {
		return docker.Entry{}, fmt.Errorf("%v: a folder; wanted a file", c)
	}
	return entries[0], nil
}

// Read copies the file out.
func (c Container) Read(ctx context.Context) ([]byte, error) {
	e, err := c.entry(ctx)
	return e.Data, err
}

// Write puts the file beside the configuration, with the owner and mode of that.
// A copy into a container is not atomic; process 1 renames it with the next
// signal. It is written even when the configuration is the same, over whatever
// another edit may have left there.
func (c Container) Write(ctx context.Context, config []byte) error {
	now, err := c.entry(ctx)
	if err != nil {
		return err
	}
	now.Name, now.Data = path.Base(c.Config)+".next", config
	return c.Engine.CopyIn(ctx, c.ID, path.Dir(c.Config), now)
}

// Alive asks the engine.
func (c Container) Alive(ctx context.Context) error {
	at, err := c.Engine.Inspect(ctx, c.ID)
	if err == nil && !at.Running() {
		err = docker.ErrNotRunning
	}
	return gone(err)
}

// Reload sends HUP to process 1, which passes it on.
func (c Container) Reload(ctx context.Context) error {
	return gone(c.Engine.Signal(ctx, c.ID, syscall.SIGHUP))
}

// Restart sends USR1 to process 1.
func (c Container) Restart(ctx context.Context) error {
	return gone(c.Engine.Signal(ctx, c.ID, syscall.SIGUSR1))
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
func (c Container) Live(ctx context.Context) (hash string, err error) {
	lines, err := c.Engine.Logs(ctx, c.ID, time.Time{}, logLines)
	for _, l := range lines {
		if l, ok := parseLine(l.Text); ok && l.live != "" {
			hash = l.live
		}
	}
	return hash, err
}

// Tail starts at the last line of the engine's log, whose clock may be another
// than this machine's.
func (c Container) Tail(ctx context.Context) (Tail, error) {
	t := &engineTail{c: c}
	lines, err := c.Engine.Logs(ctx, c.ID, time.Time{}, 1)
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("%v: the engine has no log of pipelock: %w", c, fs.ErrNotExist)
	}
	for _, l := range lines {
		t.at = l.Time
	}
	t.seen = len(lines)
	return t, err
}

// An engineTail asks the engine again and again.
type engineTail struct {
	c    Container
	at   time.Time
	seen int // lines of that very moment
}

// Next are the lines after those seen.
func (t *engineTail) Next(ctx context.Context) (texts [][]byte, err error) {
	lines, err := t.c.Engine.Logs(ctx, t.c.ID, t.at, logLines)
	if err != nil {
		return nil, err
	}
	same, skip := 0, t.seen
	for _, l := range lines {
		switch {
		case l.Time.Before(t.at):
			continue
		case l.Time.After(t.at):
			t.at, same, skip = l.Time, 0, 0
		}
		if same++; same > skip {
			texts = append(texts, l.Text)
		}
	}
	if same > 0 {
		t.seen = same
	}
	return texts, nil
}

// Close has nothing to close.
func (t *engineTail) Close() error { return nil }
