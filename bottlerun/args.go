package main

import "bottle/pkg/sandbox"

// The command lines of the parts, as run uses them and -n prints them.

// proxyArgs: the listener is descriptor 3.
func (p *plan) proxyArgs(upstream string) []string {
	args := []string{"-listen", "fd:3", "-bottle", p.name, "-routes", p.dir.Routes(),
		"-ca-cert", p.dir.CACert(), "-ca-key", p.dir.CAKey(), "-token-dir", p.dir.Tokens(), "-access-log", p.dir.AccessLog()}
	if upstream != "" {
		args = append(args, "-upstream", upstream)
	}
	if p.endsTLS || p.manifest.EgressProxy.UpstreamCA != "" {
		args = append(args, "-upstream-ca", p.dir.UpstreamCA())
	}
	for _, n := range p.manifest.EgressProxy.AllowPrivate {
		args = append(args, "-allow-private", n.String())
	}
	return args
}

// superviserArgs: the listener is descriptor 3. From outside a sandbox its
// proxy cannot be reached, and the superviser reads the bottle's files instead.
func (p *plan) superviserArgs(proxyURL string) []string {
	args := []string{"serve", "-listen", "fd:3", "-bottle", p.name}
	if p.backend == backendEnv {
		args = append(args, "-proxy", proxyURL)
	}
	return args
}

// plannedProxy is the proxy's URL as far as it is known before a start.
func (p *plan) plannedProxy() string {
	if p.backend == backendEnv {
		return "http://127.0.0.1:1" // -n shows the port as 1: it is chosen at the start
	}
	return "http://" + sandbox.ProxyAddr
}
