package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"bottle/pkg/bottles"
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
	// place is where people find a file of the proxy's folder.
	place(name string) string
	// hold takes the bottle's table for one change, where another machine may
	// change it too.
	hold(ctx context.Context) (*holding, error)
	// atStart tells whether the proxy was started with a value for slot that no
	// file can replace.
	atStart(slot string) bool
	// pipelock is the configuration of the second proxy, and the name of its file;
	// both are zero for a bottle without one.
	pipelock(ctx context.Context) (config []byte, file string, err error)
	hasPipelock() bool
	// gone is why the proxy cannot answer: errProxyEnded, or that it cannot be
	// asked. Nil says that it is there.
	gone(ctx context.Context) error
	// run tells this run of the bottle from earlier ones of its name.
	run() string
}

// The names of a sidecar's files, as sidecar.copyIn takes them.
const (
	routesFile = "routes.yaml"
	nextFile   = "routes.yaml.next"
	statusFile = "routes.yaml.status"
	tokenDir   = "tokens"
)

// errProxyEnded says that there is nobody to take a table up.
var errProxyEnded = errors.New("the egress-proxy has ended")

// live is a running bottle with its proxy.
type live struct {
	dir state.Dir
	sidecar
}

// target is the bottle that the command line names.
type target struct{ bottle, context string }

func targetFlags(fs *flag.FlagSet) *target {
	t := &target{}
	fs.StringVar(&t.bottle, "bottle", "", "")
	fs.StringVar(&t.context, "context", "", "")
	return t
}

// String is the flags that name the bottle, as one types them.
func (t *target) String() string { return strings.Join(t.args(), " ") }

// args are the flags that name the bottle to another program of the toolkit.
func (t *target) args() []string {
	if t.context == "" {
		return []string{"-bottle", t.bottle}
	}
	return []string{"-bottle", t.bottle, "-context", t.context}
}

// open finds the running bottle.
func (t *target) open(ctx context.Context, env *cli.Env) (*live, error) {
	if t.bottle == "" {
		return nil, cli.Misused("-bottle is required")
	}
	b, err := bottles.Find(ctx, env.Getenv, t.context, t.bottle)
	switch {
	case errors.Is(err, bottles.ErrName):
		return nil, cli.Misused("-bottle: %v", err)
	case errors.Is(err, bottles.ErrAbsent) || errors.Is(err, bottles.ErrStopped):
		return nil, cli.Refused(err)
	case err != nil:
		return nil, err
	case b.Engine == nil:
		return &live{b.Dir, local{b.Dir, b.Record}}, nil
	}
	c, err := openContainer(b)
	if err != nil {
		return nil, err
	}
	return &live{b.Dir, c}, nil
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
