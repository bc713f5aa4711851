package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

// startPipelock starts the second proxy, if the manifest has one, with the
// hosts of the table on its allowlist, and waits until it serves: it prints
// its start before it listens.
func (r *running) startPipelock() error {
	if r.pipelock == "" {
		return nil
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	r.pipelockAddr = addr
	config, err := r.pipelockConfig()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(r.dir.PipelockConfig(), config, 0o600); err != nil {
		return err
	}
	env, err := r.pipelockEnv()
	if err != nil {
		return err
	}
	p, err := startPart("pipelock", r.dir.PipelockLog(), r.pipelock, r.pipelockArgs(addr), env, r.died)
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

// pipelockConfig is a minimal one, or the operator's with our hosts merged in.
func (r *running) pipelockConfig() ([]byte, error) {
	hosts, left := r.table.Hosts()
	for _, h := range left {
		note(r.env, "pipelock cannot match the route for %s and will refuse it", h)
	}
	names, _, err := mirror.Names("routes", []byte(strings.Join(hosts, "\n")))
	if err != nil {
		return nil, err
	}
	file := r.manifest.Pipelock.Config
	if file == "" {
		return mirror.Config(mirror.Settings{Listen: r.pipelockAddr, Names: names, AllowPrivate: r.manifest.EgressProxy.AllowPrivate}), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	merged, _, err := mirror.Merge(file, data, names, false)
	return merged, cli.Refused(err)
}

// pipelockEnv: what it trusts upstream it knows from SSL_CERT_FILE alone.
func (r *running) pipelockEnv() ([]string, error) {
	file := r.manifest.EgressProxy.UpstreamCA
	if file == "" {
		return r.partEnv(), nil
	}
	extra, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	bundle, err := ca.Bundle(extra)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	path := r.dir.In("pipelock-roots.pem") // not in its own folder, which it watches
	return r.partEnv("SSL_CERT_FILE=" + path), atomicfile.Write(path, bundle, 0o600)
}
