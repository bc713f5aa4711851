package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"bottle/pkg/reload"
)

// deliverTokens puts the credentials beside the table, before it.
func (c *change) deliverTokens(ctx context.Context) error {
	for slot, ref := range c.tokens {
		err := c.b.copyIn(ctx, filepath.Join(tokenDir, slot), []byte(c.env.Getenv(ref)), 0o400)
		if err != nil {
			return fmt.Errorf("the credential for %s cannot be delivered: %w; %s, routes unchanged", slot, err, c.mirrorState())
		}
	}
	return nil
}

// dropTokens removes the credentials that were delivered for routes that are
// gone. What cannot be removed is told, and given to no other route (checkSlot).
func (c *change) dropTokens(ctx context.Context) {
	used := map[string]bool{"": true}
	for _, r := range c.next.Routes {
		used[r.TokenEnv] = true
	}
	for _, r := range c.now.Routes {
		if used[r.TokenEnv] {
			continue
		}
		if err := c.b.remove(ctx, filepath.Join(tokenDir, r.TokenEnv)); err != nil {
			note(c.env, "the credential of %s stays: %v", r.Host, err)
		}
	}
}

// ask copies the table in, signals, and waits until the proxy has answered that
// it serves it.
func (c *change) ask(ctx context.Context) error {
	if err := c.held.lost(); err != nil {
		if gone := c.b.gone(ctx); gone != nil { // which is why
			return fmt.Errorf("%w; %s, routes unchanged\nhint: 'bottlerun ls' tells whether the bottle still runs", gone, c.mirrorState())
		}
		return fmt.Errorf("%w; %s, routes unchanged\nhint: repeat this", err, c.mirrorState())
	}
	s, err := c.offer(ctx, c.bytes)
	if err == nil && s.Error == "" && s.Digest == c.next.Digest() {
		return nil
	}
	if err == nil {
		// The proxy has refused it and put it aside; the old table serves on.
		return fmt.Errorf("the proxy refused the table: %s; %s, routes unchanged", s.Error, c.mirrorState())
	}
	return c.putBack(err)
}

// offer copies one table in, asks the proxy to take it up, and returns its
// answer about those very bytes.
func (c *change) offer(ctx context.Context, data []byte) (reload.Status, error) {
	// 0644: the proxy may be another user, as in a container.
	if err := c.b.copyIn(ctx, nextFile, data, 0o644); err != nil {
		return reload.Status{}, err
	}
	if err := c.b.signal(ctx, syscall.SIGHUP); err != nil {
		return reload.Status{}, err
	}
	sum := sha256.Sum256(data)
	tried := hex.EncodeToString(sum[:])
	answers := func(s reload.Status) bool { return s.Generation > c.generation && s.Tried == tried }
	wait, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	answered := make(chan struct{})
	defer close(answered)
	go func() {
		select {
		case <-c.held.ended():
			cancel()
		case <-answered:
		}
	}()
	s, err := reload.Await(wait, answers, func() (reload.Status, error) { return c.b.status(ctx) })
	if err == nil {
		c.generation = s.Generation
	}
	return s, err
}

// putBack restores the table of before after an offer without an answer. It has
// its own time: the caller's may be over, by an interrupt for one.
func (c *change) putBack(cause error) error {
	ctx := context.Background()
	if err := c.b.gone(ctx); err != nil {
		return c.leave(ctx, err)
	}
	if err := c.held.lost(); err != nil {
		return fmt.Errorf("%w; %v, so that nothing was put back; %s, routes unknown\nhint: 'routesctl show %s' tells what is served", cause, err, c.mirrorState(), c.of)
	}
	if err := c.b.remove(ctx, nextFile); err != nil {
		return fmt.Errorf("%w, and %s cannot be removed: %v; %s, routes unknown\nhint: 'bottlerun stop %s' and start it again", cause, nextFile, err, c.mirrorState(), c.b.dir.Name())
	}
	if s, err := c.offer(ctx, c.before); err == nil && s.Error == "" {
		return fmt.Errorf("%w; the previous table was put back and the proxy confirmed it; %s, routes unchanged", cause, c.mirrorState())
	}
	c.b.remove(ctx, nextFile)
	if err := c.restoreFile(ctx); err != nil {
		return fmt.Errorf("%w; the previous table cannot be put back: %v; %s, routes unknown", cause, err, c.mirrorState())
	}
	return fmt.Errorf("%w; the previous table is in the file again, but the proxy does not confirm it; %s, routes unknown\nhint: 'bottlerun ls' tells whether the bottle still runs", cause, c.mirrorState())
}

// leave puts the previous table back into the file of a proxy that has ended, or
// that cannot be asked.
func (c *change) leave(ctx context.Context, cause error) error {
	if !errors.Is(cause, errProxyEnded) {
		return fmt.Errorf("%w; %s, routes unknown\nhint: once it answers, 'routesctl show %s' tells what is served; repeat this then", cause, c.mirrorState(), c.of)
	}
	if err := c.restoreFile(ctx); err != nil {
		return fmt.Errorf("%w: no request passes; the previous table cannot be put back: %v; %s", cause, err, c.mirrorState())
	}
	return fmt.Errorf("%w: no request passes; the previous table is in its file; %s, routes unchanged\nhint: 'bottlerun stop %s' and start it again", cause, c.mirrorState(), c.b.dir.Name())
}

// restoreFile makes the proxy's file that of before, if it is not.
func (c *change) restoreFile(ctx context.Context) error {
	if now, err := c.b.table(ctx); err == nil && bytes.Equal(now, c.before) {
		return nil
	}
	return c.b.copyIn(ctx, routesFile, c.before, 0o644)
}
