package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/proxy"
	"bottle/pkg/reload"
	"bottle/pkg/route"
)

// tableFile is the file of the table and the answers about it.
type tableFile struct {
	path   string
	log    *slog.Logger
	tokens *proxy.Tokens

	mu    sync.Mutex
	now   reload.Status
	write sync.Mutex // held while the answer is written, so that no older one comes last
}

func (t *tableFile) status() reload.Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// first reads the table at the start. There is no older one to serve, so a bad
// file is the end.
func (t *tableFile) first() (*route.Table, error) {
	table, tried, err := t.read()
	if err != nil {
		return nil, cli.Refused(fmt.Errorf("%w\nhint: 'routesctl validate %s' shows every fault; 'routes: []' is a table that allows nothing", err, t.path))
	}
	// A number left by an earlier run goes on, so that one who waits for a
	// greater one is not misled by a restart.
	old, _ := reload.Read(reload.Path(t.path))
	t.now = reload.Status{Generation: old.Generation, Pid: os.Getpid()}
	t.note(table, tried)
	return table, nil
}

// announce writes the first answer; without it no reload could be confirmed.
func (t *tableFile) announce() error {
	if err := t.writeStatus(); err != nil {
		return fmt.Errorf("the answer to reloads cannot be written: %w", err)
	}
	return nil
}

// reloads answers each HUP. The channel holds one, so that a storm of them
// becomes few reloads and the last one is never lost.
func (t *tableFile) reloads(p *proxy.Proxy, hup <-chan os.Signal) {
	for range hup {
		t.tokens.Forget()
		t.once(p)
	}
}

// once reads the table, swaps it in, and writes the answer. The order matters:
// who reads the answer finds the table served already.
func (t *tableFile) once(p *proxy.Proxy) {
	table, tried, err := t.read()
	if err == nil {
		p.SetTable(table)
		t.note(table, tried)
		t.count(p.Uses())
		t.log.Info("reload", "file", t.path, "digest", t.now.Digest, "generation", t.now.Generation, "routes", t.now.Routes)
	} else {
		t.refuse(tried, err)
		t.log.Error("reload refused", "file", t.path, "error", err.Error(), "generation", t.now.Generation, "serving", t.now.Digest)
	}
	if err := t.writeStatus(); err != nil {
		t.log.Error("status not written", "error", err.Error())
	}
}

// used brings the uses in the answer up to date.
func (t *tableFile) used(uses map[string]int64) {
	t.count(uses)
	if err := t.writeStatus(); err != nil {
		t.log.Error("status not written", "error", err.Error())
	}
}

func (t *tableFile) count(uses map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Uses = uses
}

func (t *tableFile) writeStatus() error {
	t.write.Lock()
	defer t.write.Unlock()
	return reload.Write(reload.Path(t.path), t.status())
}

func (t *tableFile) note(table *route.Table, tried string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Digest, t.now.Routes, t.now.LoadedAt = table.Digest(), len(table.Routes), time.Now().UTC()
	t.now.Tried, t.now.Error = tried, ""
	t.now.EndsAt = table.FirstEnd(t.now.LoadedAt)
	t.now.Generation++
}

func (t *tableFile) refuse(tried string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Tried, t.now.Error = tried, err.Error()
	t.now.Generation++
}

// read returns the table of routes.yaml.next, which then becomes routes.yaml,
// or else of routes.yaml. A copy torn half-way, or one that is not valid, never
// becomes the table: it is put aside as routes.yaml.refused.
func (t *tableFile) read() (*route.Table, string, error) {
	next := reload.Next(t.path)
	// Not through a link: the rename would make the link the table.
	table, tried, err := readTable(next, syscall.O_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return readTable(t.path, 0)
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return nil, "", err // says nothing about the file, which the next HUP will find
	}
	if err != nil {
		os.Rename(next, t.path+".refused")
		return nil, tried, err
	}
	if err := os.Rename(next, t.path); err != nil {
		return nil, tried, fmt.Errorf("%s is valid but cannot become %s: %w", next, t.path, err)
	}
	return table, tried, nil
}

// readTable reads and checks one file, which must be a regular one: opening a
// FIFO would wait for a writer. tried is the digest of its bytes.
func readTable(path string, flags int) (table *route.Table, tried string, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flags, 0)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	if !fi.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s: not a regular file; wanted routes in YAML", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, route.MaxBytes+1))
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	table, err = route.Parse(path, data)
	return table, hex.EncodeToString(sum[:]), err
}
