package main

import (
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/bottle"
	"bottle/pkg/sandbox"
)

// passed are the operator's variables that the agent gets as well: what its
// terminal and language are. Nothing else passes, as anything may be a secret.
var passed = []string{"TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}

// Places of the env backend's files below the bottle's folder, where the local
// backend has the sandbox's own.
const (
	bundleName = "bundle.pem"
	socketName = "supervise.sock"
)

// agentEnv is the agent's whole environment.
func (p *plan) agentEnv(proxyURL string) ([]string, error) {
	out := bottle.Outlet{ProxyURL: proxyURL, CAFile: sandbox.CAFile, CABundle: sandbox.BundleFile, Files: sandbox.RunDir}
	env := []string{"HOME=" + sandbox.Home, "USER=" + p.user(), "LOGNAME=" + p.user(), "SHELL=/bin/sh",
		"PATH=" + join(p.getenv("PATH"), "/usr/local/bin:/usr/bin:/bin", sandbox.BinDir)}
	socket := sandbox.Supervise
	if p.backend == backendEnv {
		socket = p.dir.In(socketName)
		out.CAFile, out.CABundle, out.Files = p.dir.CACert(), p.dir.In(bundleName), string(p.dir)
		env = []string{"HOME=" + p.getenv("HOME"), "USER=" + p.getenv("USER"), "LOGNAME=" + p.getenv("USER"),
			"SHELL=" + p.getenv("SHELL"), "PATH=" + join(p.getenv("PATH"), "/usr/local/bin:/usr/bin:/bin", filepath.Dir(p.super))}
	}
	for _, name := range passed {
		if v := p.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	env = append(env, "BOTTLE_SUPERVISE="+socket)
	more, err := bottle.Env(p.manifest, out)
	return override(env, more), err
}

// join puts path, or else otherwise, before last.
func join(path, otherwise, last string) string {
	if path == "" {
		path = otherwise
	}
	return path + ":" + last
}

// user is the agent's name: the operator's, but for root, which it is not.
func (p *plan) user() string {
	if u := p.getenv("USER"); u != "" && os.Geteuid() != 0 {
		return u
	}
	return "agent"
}

// override is env without what more sets, then more: execve(2) allows a name
// twice, and programs differ in which they take.
func override(env, more []string) []string {
	set := map[string]bool{}
	for _, e := range more {
		name, _, _ := strings.Cut(e, "=")
		set[name] = true
	}
	var out []string
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); !set[name] {
			out = append(out, e)
		}
	}
	return append(out, more...)
}

// unstamped keeps the go command from asking git about a .git that is our
// placeholder, which ends its build. The manifest's own GOFLAGS stay.
func unstamped(env []string, work *sandbox.Workspace) []string {
	if work.Repository() {
		return env
	}
	return override([]string{"GOFLAGS=-buildvcs=false"}, env)
}

// partEnv is the environment of the bottle's other programs: enough to find
// the state of bottles and the time zone.
func (p *plan) partEnv(more ...string) []string {
	env := []string{"PATH=" + p.getenv("PATH"), "HOME=" + p.getenv("HOME"), "BOTTLE_DIR=" + p.root}
	for _, name := range []string{"LANG", "TZ", "TMPDIR"} {
		if v := p.getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return append(env, more...)
}
