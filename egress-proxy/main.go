// Egress-proxy is a bottle's only way out: it lets through what the bottle's
// routes allow and adds the credentials that the agent never sees. See README.md.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/proxy"
)

//go:embed usage.txt
var usage string

func main() {
	// First of all: a HUP that comes before a handler is there ends the process.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	cli.Main("egress-proxy", usage, cli.Verb{Run: func(ctx context.Context, env *cli.Env) error {
		return serve(ctx, env, hup)
	}})
}

// drainTime is how long exchanges in flight may go on after a TERM.
const drainTime = 10 * time.Second

// serve runs the proxy until ctx ends.
func serve(ctx context.Context, env *cli.Env, hup <-chan os.Signal) error {
	o, err := parseOptions(env)
	if err != nil {
		return err
	}
	secure()
	log := slog.New(slog.NewJSONHandler(env.Stderr, nil)).With("bottle", o.bottle)
	tokens := &proxy.Tokens{Dir: o.tokenDir, Getenv: env.Getenv}
	table := &tableFile{path: o.routes, log: log, tokens: tokens}
	c, err := o.config(table, tokens)
	if err != nil {
		return err
	}
	access, err := openAccessLog(o.accessLog, env.Stdout)
	if err != nil {
		return err
	}
	ln, self, err := listen(ctx, o.listen)
	if err != nil && ctx.Err() != nil {
		return nil // told to end before there was anything to serve
	}
	if err != nil {
		return err
	}
	c.Log, c.Self = log, self
	if access != nil {
		c.AccessLog = access.Log
		defer access.Flush()
	}
	p := proxy.New(c)
	if err := table.announce(); err != nil {
		return err
	}
	go table.reloads(p, hup)
	go settle(ctx, c)
	log.Info("listen", "address", ln.Addr().String(), "routes", len(p.Table().Routes), "digest", p.Table().Digest())
	return serveUntil(ctx, p, ln, log)
}

// serveUntil serves ln; when ctx ends it drains.
func serveUntil(ctx context.Context, p *proxy.Proxy, ln net.Listener, log *slog.Logger) error {
	served := make(chan error, 1)
	go func() { served <- p.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Info("drain", "seconds", drainTime.Seconds())
	ln.Close()
	late, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	p.Drain(late)
	return <-served
}

// settle does, a while after the start, what need not hold that up: it reads the
// roots, sets the pace of the garbage collector, and frees what the start took.
func settle(ctx context.Context, c proxy.Config) {
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
		return
	}
	c.Roots()
	floor := heapFloor()
	debug.FreeOSMemory()
	<-ctx.Done()
	runtime.KeepAlive(floor)
}

// heapFloor is memory that is never touched and so never there. To the garbage
// collector it is live: with it a small heap is collected each 16 MiB and not
// each 4 MiB, which spares a tenth of the time, and a large one, of many idle
// tunnels, at half its size more and not at twice its size.
func heapFloor() []byte {
	debug.SetGCPercent(50)
	return make([]byte, 32<<20)
}

// secure keeps credentials out of core dumps and the memory of the process
// closed to others of the same user (prctl(2), PR_SET_DUMPABLE).
func secure() {
	syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	undumpable()
	debug.SetTraceback("single")
}

// authority loads the bottle's authority.
func authority(certFile, keyFile string) (*ca.Authority, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("-ca-cert: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("-ca-key: %w", err)
	}
	a, err := ca.Load(cert, key)
	if err != nil {
		return nil, cli.Refused(fmt.Errorf("%s, %s: %w\nhint: scripts/ca-new makes an authority", certFile, keyFile, err))
	}
	return a, nil
}

var errNoRoutes = errors.New("-routes, -ca-cert and -ca-key are required")
