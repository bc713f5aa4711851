package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"

	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/proxy"
	"bottle/pkg/state"
)

// options are the flags; usage.txt says what each means.
type options struct {
	listen, routes, caCert, caKey  string
	upstream, upstreamCA, tokenDir string
	accessLog, bottle              string
	allowPrivate                   []netip.Prefix
	limits                         proxy.Limits
}

func parseOptions(env *cli.Env) (*options, error) {
	o := &options{}
	fs := env.Flags()
	fs.StringVar(&o.listen, "listen", "127.0.0.1:9099", "")
	fs.StringVar(&o.routes, "routes", "", "")
	fs.StringVar(&o.caCert, "ca-cert", "", "")
	fs.StringVar(&o.caKey, "ca-key", "", "")
	fs.StringVar(&o.upstream, "upstream", "", "")
	fs.StringVar(&o.upstreamCA, "upstream-ca", "", "")
	fs.StringVar(&o.tokenDir, "token-dir", "/run/egress-proxy/tokens", "")
	fs.StringVar(&o.accessLog, "access-log", "-", "")
	fs.StringVar(&o.bottle, "bottle", "", "")
	fs.Func("allow-private", "", o.addPrivate)
	l := &o.limits
	fs.IntVar(&l.Conns, "max-conns", 16384, "")
	fs.IntVar(&l.Head.HeadBytes, "max-head", 64<<10, "")
	fs.IntVar(&l.Head.Fields, "max-fields", 256, "")
	streams := fs.Uint("max-streams", 250, "")
	fs.DurationVar(&l.Handshake, "handshake-timeout", 0, "")
	fs.DurationVar(&l.HeadTime, "head-timeout", 0, "")
	fs.DurationVar(&l.Stall, "stall-timeout", 0, "")
	fs.DurationVar(&l.Idle, "idle-timeout", 0, "")
	fs.DurationVar(&l.Dial, "dial-timeout", 0, "")
	fs.DurationVar(&l.Answer, "answer-timeout", 0, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return nil, err
	}
	o.fitDescriptors()
	l.Streams = uint32(min(*streams, 1<<20))
	return o, o.check()
}

// fitDescriptors keeps both sides' connections below what the process may have
// open (getrlimit(2), RLIMIT_NOFILE), with some left for files: an agent that
// used all up could keep a reload from reading its table.
func (o *options) fitDescriptors() {
	const files = 64
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return
	}
	all := max(2, int(min(r.Cur, 1<<20))-files)
	o.limits.Sockets = all
	// An idle tunnel has no other side; what is not idle must find room for one.
	o.limits.Conns = min(o.limits.Conns, max(1, all-all/8))
	o.limits.Origins = max(1, all/2)
}

func (o *options) addPrivate(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("wanted a CIDR such as 10.1.2.0/24")
	}
	if p != p.Masked() {
		return fmt.Errorf("has host bits set; wanted %s", p.Masked())
	}
	o.allowPrivate = append(o.allowPrivate, p)
	return nil
}

func (o *options) check() error {
	l := o.limits
	switch {
	case o.routes == "" || o.caCert == "" || o.caKey == "":
		return cli.Misused("%v", errNoRoutes)
	case l.Conns < 1 || l.Head.HeadBytes < 1024 || l.Head.Fields < 16 || l.Streams < 1:
		return cli.Misused("a limit is too small; wanted -max-conns and -max-streams 1, -max-head 1024, -max-fields 16 or more")
	case l.Handshake < 0 || l.HeadTime < 0 || l.Stall < 0 || l.Idle < 0 || l.Dial < 0 || l.Answer < 0:
		return cli.Misused("a negative time limit; wanted a duration such as 30s")
	}
	if o.bottle != "" {
		if err := state.ValidSlug(o.bottle); err != nil {
			return cli.Misused("-bottle: %v", err)
		}
	}
	return nil
}

// config is what the proxy is given, but for what belongs to its surroundings.
func (o *options) config(t *tableFile, tokens *proxy.Tokens) (c proxy.Config, err error) {
	c = proxy.Config{Bottle: o.bottle, Token: tokens.Get, AllowPrivate: o.allowPrivate, Limits: o.limits, Status: t.status, Used: t.used}
	if c.Upstream, err = parseUpstream(o.upstream); err != nil {
		return c, err
	}
	if c.Roots, err = roots(o.upstreamCA); err != nil {
		return c, err
	}
	if c.Authority, err = authority(o.caCert, o.caKey); err != nil {
		return c, err
	}
	c.Table, err = t.first()
	return c, err
}

// parseUpstream reads the address of the second proxy.
func parseUpstream(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.User != nil || u.Port() == "" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, cli.Misused("-upstream %q; wanted http://HOST:PORT", s)
	}
	return u, nil
}

// roots is the trust for origins: the system's roots and those in the file extra.
// The system's are read when they are first asked for, since that takes as long
// as the rest of the start.
func roots(extra string) (func() *x509.CertPool, error) {
	var pem []byte
	if extra != "" {
		var err error
		if pem, err = os.ReadFile(extra); err != nil {
			return nil, fmt.Errorf("-upstream-ca: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, cli.Refusedf("-upstream-ca %s: no certificate in it; wanted PEM", extra)
		}
	}
	return sync.OnceValue(func() *x509.CertPool {
		pool := systemRoots()
		pool.AppendCertsFromPEM(pem)
		return pool
	}), nil
}

// systemRoots reads the system's bundle, one file: x509.SystemCertPool reads each
// root from a file of its own besides, which takes longer than all else at the
// start. As there, SSL_CERT_FILE names another bundle and SSL_CERT_DIR folders; the
// bundle's own adds nothing to it.
func systemRoots() *x509.CertPool {
	if dir := os.Getenv("SSL_CERT_DIR"); dir == "" || dir == "/etc/ssl/certs" {
		pool := x509.NewCertPool()
		if pem, err := systemBundle(); err == nil && pool.AppendCertsFromPEM(pem) {
			return pool
		}
	}
	if pool, err := x509.SystemCertPool(); err == nil {
		return pool
	}
	return x509.NewCertPool()
}

func systemBundle() ([]byte, error) {
	if file := os.Getenv("SSL_CERT_FILE"); file != "" {
		return os.ReadFile(file)
	}
	return ca.Bundle()
}

// listen opens the listener: an address, fd:N for an inherited one, or unix:PATH.
func listen(ctx context.Context, s string) (net.Listener, []netip.AddrPort, error) {
	if ln, ok, err := inherited(ctx, s); ok {
		return ln, nil, err
	}
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		ln, err := listenUnix(path)
		return ln, nil, err
	}
	ln, err := net.Listen("tcp", s)
	if err != nil {
		return nil, nil, fmt.Errorf("-listen %s: %w", s, err)
	}
	self := ln.Addr().(*net.TCPAddr).AddrPort()
	return ln, []netip.AddrPort{self}, nil
}
