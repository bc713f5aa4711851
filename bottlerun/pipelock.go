package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/sandbox"
)

// startPipelock starts the second proxy, if the manifest has one, with the
// hosts of the table on its allowlist, and waits until it serves: it prints
// its start before it listens.
func (r *running) startPipelock() error {
	if r.probe != nil {
		return r.startCanary()
	}
	if r.pipelock == "" {
		return r.writeUpstreamCA(nil)
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	r.pipelockAddr = addr
	start, err := r.preparePipelock(addr)
	if err != nil {
		return err
	}
	// Not by itself: some changes of its configuration it takes up at a start
	// only, and the bottle must live through that ('pipemirror apply -restart').
	starter := sandbox.Part{Next: r.dir.PipelockConfig(), Command: append([]string{r.pipelock}, start.Args...)}
	p, err := startPart("pipelock", r.dir.PipelockLog(), "/proc/self/exe", starter.Args(), r.partEnv(start.Env...), r.died)
	if err != nil {
		return err
	}
	r.parts = append(r.parts, p)
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	go func() {
		select {
		case <-p.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := poll(ctx, func() error { return get(ctx, &http.Client{Timeout: 3 * time.Second}, "http://"+addr+"/health") }); err != nil {
		select {
		case <-p.ended:
			return p.death()
		default:
			return fmt.Errorf("pipelock is not healthy: %w", err)
		}
	}
	return nil
}

// freeAddr is a free port of loopback. Pipelock takes an address only.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// preparePipelock writes the files of the second proxy, and what egress-proxy
// trusts for its sake.
func (r *running) preparePipelock(addr string) (*mirror.Start, error) {
	start, err := mirror.Prepare(r.lock.At(r.dir.Pipelock(), addr))
	if err != nil {
		return nil, cli.Refused(err)
	}
	for _, h := range start.Left {
		note(r.env, "pipelock cannot match the route for %s and will refuse it", h)
	}
	for _, f := range start.Files {
		if err := atomicfile.Write(filepath.Join(r.dir.Pipelock(), f.Name), f.Data, f.Mode); err != nil {
			return nil, err
		}
	}
	return start, r.writeUpstreamCA(start.CA)
}

// findPipelock reads what the manifest says of the second proxy.
func (p *plan) findPipelock(options) (err error) {
	lock, proxy := p.manifest.Pipelock, p.manifest.EgressProxy
	if lock.Off() {
		return nil
	}
	pass, err := p.manifest.PassthroughHosts()
	if err != nil {
		return err
	}
	p.lock = mirror.Settings{Name: p.name, Table: p.table, AllowPrivate: proxy.AllowPrivate,
		Intercept: lock.Intercept, Passthrough: pass, OwnFile: lock.Config}
	if lock.Config != "" {
		if p.lock.Own, err = readFile(lock.Config, mirror.MaxBytes); err != nil {
			return err
		}
	}
	if p.lock.Roots, err = p.pipelockRoots(); err != nil {
		return err
	}
	// A trial, so that a configuration that cannot be used is known by now.
	trial, err := mirror.Prepare(p.lock.At("/", "127.0.0.1:0"))
	if err != nil {
		return cli.Refused(err)
	}
	p.endsTLS = trial.CA != nil
	return nil
}

// pipelockRoots are what the second proxy trusts upstream; nil for its system's.
func (p *plan) pipelockRoots() ([]byte, error) {
	file := p.manifest.EgressProxy.UpstreamCA
	if file == "" {
		return nil, nil
	}
	extra, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := ca.Bundle(extra)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return roots, nil
}

// readFile reads a file of the operator's, at most limit bytes of it. It is
// never nil without an error.
func readFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = cli.Refusedf("%s: larger than %d bytes", path, limit)
	}
	return append([]byte{}, data...), err
}

// upstreamCA are the certificates that egress-proxy trusts beside the system's:
// the manifest's, and that of the second proxy's authority.
func (p *plan) upstreamCA(pipelock []byte) ([]byte, error) {
	file := p.manifest.EgressProxy.UpstreamCA
	if file == "" {
		return pipelock, nil
	}
	extra, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	both, err := ca.Join(extra, pipelock)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return both, nil
}

func (r *running) writeUpstreamCA(pipelock []byte) error {
	certs, err := r.upstreamCA(pipelock)
	if err != nil || len(certs) == 0 {
		return err
	}
	return atomicfile.Write(r.dir.UpstreamCA(), certs, 0o600)
}
