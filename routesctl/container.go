package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/docker"
	"bottle/pkg/mirror"
	"bottle/pkg/reload"
	"bottle/pkg/route"
	"bottle/pkg/steward"
)

// Where the proxy's files lie in its container, and who it is there.
const (
	proxyFolder = "/bottle/egress-proxy"
	proxyUser   = 10001
)

// pipelockConfig is pipelock's file in its container.
const pipelockConfig = "/bottle/pipelock/pipelock.yaml"

// maxStatus bounds the proxy's answer, which lists uses by host.
const maxStatus = 64 << 20

// container is the proxy of a bottle in a container engine. While it is held its
// files are reached by the steward there, else by docker cp.
type container struct {
	b *bottles.Bottle
	*docker.Engine
	id string
	at *steward.Steward
}

// openContainer refuses what could take up no table: its files could be read and
// written all the same, and look as if they counted.
func openContainer(b *bottles.Bottle) (*container, error) {
	id, err := b.Part("egress-proxy")
	if err != nil {
		return nil, err
	}
	if p := b.Containers["egress-proxy"]; !p.Running() {
		return nil, fmt.Errorf("bottle %s: %w (%s, exit code %d): no request passes, and no table is taken up\nhint: 'bottlerun logs %s' may tell why; 'bottlerun stop %s' ends what is left", b.Name, errProxyEnded, p.State, p.ExitCode, b.Name, b.Name)
	}
	return &container{b, b.Engine, id, nil}, nil
}

func (c *container) table(ctx context.Context) ([]byte, error) {
	return c.read(ctx, routesFile, route.MaxBytes)
}

func (c *container) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	if c.held() {
		data, err := c.at.Read(ctx, name, limit)
		return data, c.told(err)
	}
	data, err := c.File(ctx, c.id, path.Join(proxyFolder, name), limit)
	return data, c.told(err)
}

// held tells whether there is a steward. Of one that has ended docker cp is the
// way to what can still be done.
func (c *container) held() bool {
	if c.at == nil {
		return false
	}
	select {
	case <-c.at.Ended():
		return false
	default:
		return true
	}
}

// copyIn sets owner and mode in the header of the tar stream: neither the umask
// nor the user of this side matters, and nothing is written to a disk here.
func (c *container) copyIn(ctx context.Context, name string, data []byte, mode fs.FileMode) error {
	if c.held() {
		return c.told(c.at.Write(ctx, name, data, mode))
	}
	var entries []docker.Entry
	if dir := path.Dir(name); dir != "." {
		entries = append(entries, docker.Entry{Name: dir, Mode: fs.ModeDir | 0o700, UID: proxyUser, GID: proxyUser})
	}
	entries = append(entries, docker.Entry{Name: name, Mode: mode, UID: proxyUser, GID: proxyUser, Data: data})
	return c.told(c.CopyIn(ctx, c.id, proxyFolder, entries...))
}

// errNotHeld says that there is nobody to do what docker cp cannot.
var errNotHeld = errors.New("the lock of the table was lost on the way")

// remove asks the steward, since docker cp removes nothing.
func (c *container) remove(ctx context.Context, name string) error {
	if !c.held() {
		return errNotHeld
	}
	return c.told(c.at.Remove(ctx, name))
}

func (c *container) signal(ctx context.Context, sig syscall.Signal) error {
	if !c.held() {
		return errNotHeld
	}
	return c.told(c.at.Signal(ctx, sig))
}

func (c *container) status(ctx context.Context) (reload.Status, error) {
	data, err := c.read(ctx, statusFile, maxStatus)
	if err != nil {
		return reload.Status{}, err
	}
	return reload.Decode(bytes.TrimSpace(data))
}

// gone asks again for a while when the steward has ended, since the engine may not
// know yet of the end that he has met.
func (c *container) gone(ctx context.Context) error {
	for end := time.Now().Add(time.Second); ; time.Sleep(50 * time.Millisecond) {
		now, err := c.Inspect(ctx, c.id)
		if err == nil && !now.Running() {
			return fmt.Errorf("%w (%s, exit code %d)", errProxyEnded, now.State, now.ExitCode)
		}
		if err != nil || c.at == nil || c.held() || time.Now().After(end) {
			return c.told(err)
		}
	}
}

func (c *container) place(name string) string {
	return bottles.ContainerName(c.b.Name, "egress-proxy") + ":" + path.Join(proxyFolder, name)
}

// atStart: in a container all credentials are files.
func (c *container) atStart(string) bool { return false }

func (c *container) hasPipelock() bool {
	_, has := c.b.Containers["pipelock"]
	return has
}

func (c *container) pipelock(ctx context.Context) ([]byte, string, error) {
	if !c.hasPipelock() {
		return nil, "", nil
	}
	p := c.b.Containers["pipelock"]
	config, err := c.File(ctx, p.ID, pipelockConfig, mirror.MaxBytes)
	return config, p.Name + ":" + pipelockConfig, err
}

func (c *container) run() string { return c.b.ID }

// told says plainly when the proxy is no longer there.
func (c *container) told(err error) error {
	switch {
	case errors.Is(err, docker.ErrNoContainer):
		return fmt.Errorf("%w: its container is gone", errProxyEnded)
	case errors.Is(err, docker.ErrNotRunning):
		return errProxyEnded
	}
	return err
}
