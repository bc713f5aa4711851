package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"

	"golang.org/x/sys/unix"
)

// An examination is what was found of this machine.
type examination struct {
	env      *cli.Env
	ctx      context.Context
	findings []finding
	works    bool // a backend that is a sandbox
	short    bool // of what every backend needs
}

// examine looks at all that a backend needs. Nothing is changed but for a
// namespace that comes and goes.
func examine(ctx context.Context, env *cli.Env, where string) *examination {
	m := &examination{env: env, ctx: ctx}
	k := sandbox.ThisKernel()
	local := sandbox.Probe()
	m.works = local == nil
	m.kernel(k)
	m.local(k, local)
	m.memory()
	m.programs()
	m.stateFolder()
	m.engine(docker.Open(env.Getenv, where), local == nil)
	m.podman(env.Getenv("BOTTLE_DOCKER"))
	m.pipelock()
	m.works = m.works && !m.short
	return m
}

func (m *examination) add(state, thing, found string, hints ...string) {
	m.findings = append(m.findings, finding{state, thing, found, hints})
}

// kernel: what an older one lacks, and what that means for a bottle.
func (m *examination) kernel(k sandbox.Kernel) {
	switch {
	case !k.AtLeast(5, 12):
		m.add(lacks, "kernel", k.Release+"; wanted Linux 5.12, whose mount_setattr(2) makes what a bottle shows read-only",
			"a newer kernel, or -backend docker")
	case !k.AtLeast(5, 14):
		m.add(lacks, "kernel", k.Release+": limits.pids counts all processes of your user, and not the bottle's alone (Linux 5.14)",
			"a newer kernel, or a higher limits.pids")
	default:
		m.add(isOK, "kernel", k.Release)
	}
	switch {
	case k.Landlock >= 6:
		m.add(isOK, "landlock", fmt.Sprintf("ABI %d: signals and abstract sockets end at the bottle", k.Landlock))
	default:
		m.add(lacks, "landlock", fmt.Sprintf("ABI %d; with 6 (Linux 6.12) signals and abstract sockets end at the bottle by a second rule beside its namespaces", k.Landlock),
			"nothing has to be done: the namespaces hold by themselves")
	}
	if k.Seccomp {
		m.add(isOK, "seccomp", "filters of system calls")
	} else {
		m.add(lacks, "seccomp", "no filters of system calls, and a bottle does not start without", "a kernel with CONFIG_SECCOMP_FILTER, or a container whose engine lets seccomp(2) pass")
	}
}

// local is the backend by a trial, and what could be in its way.
func (m *examination) local(k sandbox.Kernel, err error) {
	switch {
	case k.Container != "" && err == nil:
		m.add(isOK, "container", "this seems to be one already, by "+k.Container+", and lets bottles be made in it")
	case k.Container != "":
		m.add(saysNo, "container", "this seems to be one, or a bottle, already: "+k.Container,
			"run bottlerun on the host, or take this container for the jail and run the agent without one")
	}
	if k.AppArmor && err == nil {
		m.add(isOK, "apparmor", "lets only some programs make user namespaces, and this is one of them")
	}
	if err != nil {
		what, hints := advised(err)
		// The last is of run's, and no remedy for a machine.
		hints = slices.DeleteFunc(hints, func(h string) bool { return strings.HasPrefix(h, "-backend env") })
		m.add(saysNo, "backend local", what, append(hints, "-backend docker needs no namespaces of this user")...)
		return
	}
	m.add(isOK, "backend local", "user namespaces, mounts and an empty network work, by a trial")
}

// memory: who would hold limits.memory and limits.cpus of the local backend.
func (m *examination) memory() {
	how, err := sandbox.MemoryLimits(m.env.Getenv)
	if err != nil {
		what, hints := advised(err)
		m.add(lacks, "limits", "nobody bounds the memory and processors of a local bottle: "+what, hints...)
		return
	}
	m.add(isOK, "limits", "memory and processors of a local bottle are bounded by "+how)
}

// programs are those of the same build.
func (m *examination) programs() {
	var none []string
	for _, name := range partPrograms {
		if _, err := sibling(name, m.env.Getenv); err != nil {
			none = append(none, name)
		}
	}
	if none != nil {
		m.add(lacks, "programs", "neither beside bottlerun nor in PATH: "+strings.Join(none, " "), "'make install' puts all five into one folder")
		m.short = true
		return
	}
	m.add(isOK, "programs", strings.Join(partPrograms, " "))
}

// stateFolder must be ours alone. One that is not there yet is made by the first
// run; what it is in must let that happen.
func (m *examination) stateFolder() {
	root, err := state.Root(m.env.Getenv)
	if err != nil {
		what, hints := advised(err)
		m.add(lacks, "state", what, hints...)
		m.short = true
		return
	}
	fi, err := os.Stat(root)
	at := root
	for errors.Is(err, fs.ErrNotExist) && at != "/" {
		at = filepath.Dir(at)
		fi, err = os.Stat(at)
	}
	const other = "set BOTTLE_DIR to a folder of your own"
	switch {
	case err != nil:
		m.add(saysNo, "state", err.Error(), other)
	case !fi.IsDir():
		m.add(saysNo, "state", at+" is no folder", other)
	case unix.Access(at, unix.W_OK|unix.X_OK) != nil:
		m.add(saysNo, "state", at+" cannot be written to", other)
	case at != root:
		m.add(isOK, "state", root+", made by the first run")
		return
	case fi.Mode().Perm()&0o022 != 0:
		m.add(saysNo, "state", fmt.Sprintf("%s can be written to by others (mode %04o)", root, fi.Mode().Perm()), "chmod go-w "+root, other)
	default:
		m.add(isOK, "state", root)
		return
	}
	m.short = true
}

// engine asks the engine that -backend docker would use.
func (m *examination) engine(e *docker.Engine, local bool) {
	optional := func(hints []string) []string {
		if local {
			hints = append(hints, "only -backend docker needs it")
		}
		return hints
	}
	out, err := e.Output(m.ctx, nil, "version", "--format", "{{json .}}")
	if err != nil {
		what, hints := advised(err)
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			hints = append(hints, h.Hint())
		}
		if strings.Contains(what, "permission denied") {
			hints = append(hints, "who is in the group docker may ask it, and is root by that; an engine of your own is rootless docker, or podman")
		}
		state := saysNo
		if errors.Is(err, exec.ErrNotFound) {
			state = lacks
		}
		m.add(state, "backend docker", what, optional(hints)...)
		return
	}
	var v struct{ Client, Server struct{ Version string } }
	json.Unmarshal(out, &v)
	found := fmt.Sprintf("%v: client %s", e, v.Client.Version)
	if v.Server.Version != "" { // podman here is its own engine
		found += ", engine " + v.Server.Version
	}
	if place, host, err := e.Where(m.ctx); err == nil && place+host != "" {
		found += ", " + strings.TrimSpace("context "+place+" "+host)
	}
	m.add(isOK, "backend docker", found+m.rootless(e))
	m.works = true
}

// rootless tells an engine that is not root, as far as it says so.
func (m *examination) rootless(e *docker.Engine) string {
	out, err := e.Output(m.ctx, nil, "info", "--format", "{{json .}}")
	var info struct {
		SecurityOptions []string
		Host            struct{ Security struct{ Rootless bool } } // podman's
	}
	if err != nil || json.Unmarshal(out, &info) != nil {
		return ""
	}
	if info.Host.Security.Rootless || slices.Contains(info.SecurityOptions, "name=rootless") {
		return ", rootless"
	}
	return ", as root"
}

// podman is told where it is there and not chosen.
func (m *examination) podman(chosen string) {
	path, err := lookPath("podman", m.env.Getenv)
	if err != nil || strings.Contains(filepath.Base(chosen), "podman") {
		return
	}
	m.add(isOK, "podman", path, "BOTTLE_DOCKER=podman has -backend docker use it")
}

// pipelock is looked for where this folder's manifest names a program.
func (m *examination) pipelock() {
	data, err := os.ReadFile(manifestName)
	if err != nil {
		return
	}
	b, err := bottle.Parse(manifestName, data)
	if err != nil || b.Pipelock.Program == "" {
		return
	}
	path, err := lookPath(b.Pipelock.Program, m.env.Getenv)
	if err != nil {
		m.add(lacks, "pipelock", err.Error(), "install it, or 'pipelock: off' in "+manifestName)
		return
	}
	m.add(isOK, "pipelock", path)
}
