package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/docker"

	"golang.org/x/sys/unix"
)

// lockFile is the lock beside a table in a container. Operators on several
// machines have no other lock in common.
const lockFile = "apply.lock"

// Whoever holds the lock writes a line each beat; without one for silence the
// lock falls, for the machine may be gone with nobody to close its connections.
const (
	beat    = 5 * time.Second
	silence = 30 * time.Second
)

// A holding is the right to change a table. The zero value needs no upkeep.
type holding struct {
	s   *docker.Session
	ctx context.Context // ends with the holding
	end func()
}

// hold runs _hold in the proxy's container for as long as the change takes. It
// falls with this process, however that ends.
func (c *container) hold(ctx context.Context) (*holding, error) {
	s, err := c.Session(c.id, "/bin/routesctl", "_hold", path.Join(proxyFolder, lockFile), silence.String())
	if err != nil {
		return nil, err
	}
	h := &holding{s: s}
	h.ctx, h.end = context.WithCancel(context.Background())
	go h.beat()
	line, err := s.Line(ctx)
	if err == nil && line != held {
		err = fmt.Errorf("%q from _hold; wanted %q", line, held)
	}
	if err != nil {
		h.release()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: held by another operator: %w", c.place(lockFile), ctx.Err())
		}
		return nil, fmt.Errorf("the lock of the table cannot be taken: %w; nothing was changed", c.told(err))
	}
	return h, nil
}

func (h *holding) beat() {
	t := time.NewTicker(beat)
	defer t.Stop()
	defer h.end()
	for {
		select {
		case <-t.C:
			h.s.Write([]byte("\n"))
		case <-h.s.Ended():
			return
		}
	}
}

// context ends when the holding does.
func (h *holding) context() context.Context {
	if h.s == nil {
		return context.Background()
	}
	return h.ctx
}

// lost is an error when another may be changing the table by now.
func (h *holding) lost() error {
	if h.s == nil {
		return nil
	}
	if h.ctx.Err() != nil {
		return errors.New("the lock of the table was lost on the way")
	}
	return nil
}

func (h *holding) release() {
	if h.s != nil {
		h.s.Close()
	}
}

// held is what _hold prints when it has the lock.
const held = "held"

// holdVerb is run in the proxy's container by routesctl outside: it takes the
// lock FILE, says so, and keeps it until its standard input ends, or is silent for
// as long as SILENCE.
func holdVerb(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 2, 2); err != nil {
		return err
	}
	silence, err := time.ParseDuration(fs.Arg(1))
	if err != nil || silence <= 0 {
		return cli.Misused("%q; wanted FILE SILENCE, as 30s", fs.Arg(1))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	go func() {
		defer cancel()
		for in := bufio.NewReader(env.Stdin); ; alive.Reset(silence) {
			if _, err := in.ReadByte(); err != nil {
				return
			}
		}
	}()
	f, err := os.OpenFile(fs.Arg(0), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			return fmt.Errorf("%s: flock: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			return errors.New("nobody waits for the lock any more")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if _, err := io.WriteString(env.Stdout, held+"\n"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// removeVerb is run there too: it removes FILE.
func removeVerb(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 1, 1); err != nil {
		return err
	}
	return removeFile(fs.Arg(0))
}
