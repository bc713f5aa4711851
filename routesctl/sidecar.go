package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bottle/pkg/atomicfile"
	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/state"
)

// A sidecar is a running egress-proxy as apply needs it: copy in, signal, read
// the answer. Where it runs is the sidecar's business.
type sidecar interface {
	// table returns the file that the proxy serves.
	table(ctx context.Context) ([]byte, error)
	// copyIn puts data into the file name in the proxy's folder.
	copyIn(ctx context.Context, name string, data []byte, mode fs.FileMode) error
	// remove takes a file out of the proxy's folder; a missing one is no error.
	remove(ctx context.Context, name string) error
	signal(ctx context.Context, sig syscall.Signal) error
	status(ctx context.Context) (reload.Status, error)
}

// The names of a sidecar's files, as sidecar.copyIn takes them.
const (
	routesFile = "routes.yaml"
	nextFile   = "routes.yaml.next"
	tokenDir   = "tokens"
)

// local is the proxy of a bottle on this machine.
type local struct {
	dir  state.Dir
	part state.Part
}

func (l local) table(context.Context) ([]byte, error) { return os.ReadFile(l.dir.Routes()) }

func (l local) copyIn(_ context.Context, name string, data []byte, mode fs.FileMode) error {
	return atomicfile.Write(filepath.Join(l.dir.Proxy(), name), data, mode)
}

func (l local) remove(_ context.Context, name string) error {
	err := os.Remove(filepath.Join(l.dir.Proxy(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l local) signal(_ context.Context, sig syscall.Signal) error {
	err := l.part.Signal(sig)
	if errors.Is(err, state.ErrGone) {
		return errors.New("the egress-proxy has ended")
	}
	return err
}

func (l local) status(context.Context) (reload.Status, error) { return reload.Read(l.dir.Status()) }

// live is a running bottle with its proxy.
type live struct {
	dir    state.Dir
	record state.Record
	sidecar
}

// openBottle finds the running bottle slug.
func openBottle(env *cli.Env, slug string) (*live, error) {
	if slug == "" {
		return nil, cli.Misused("-bottle is required")
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return nil, err
	}
	dir, err := state.At(root, slug)
	if err != nil {
		return nil, cli.Misused("-bottle: %v", err)
	}
	r, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Refusedf("no bottle %q below %s\nhint: 'routesctl list' shows the running ones", slug, root)
	}
	if err != nil {
		return nil, err
	}
	if !dir.Running() || r.Boot != state.Boot() {
		return nil, cli.Refusedf("bottle %q is not running; its table is that of its manifest\nhint: 'bottlerun run %s' starts it", slug, slug)
	}
	return &live{dir, r, local{dir, r.Parts["egress-proxy"]}}, nil
}

// atStart tells whether the proxy was started with a value for slot, which no
// file can replace: the environment comes first.
func (b *live) atStart(slot string) bool {
	for _, s := range b.record.Slots {
		if s == slot {
			return true
		}
	}
	return false
}

// operator is who acts, for the audit log.
func operator(env *cli.Env) string {
	for _, name := range []string{"USER", "LOGNAME"} {
		if s := env.Getenv(name); s != "" {
			return s
		}
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}
