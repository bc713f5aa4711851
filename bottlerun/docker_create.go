package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// makePlaces makes the networks and volumes. A volume that is there already is
// taken by docker without a word, whoever made it: its label is looked at before
// anything is put in.
func (d *dock) makePlaces() error {
	d.made = true
	steps := []func() error{d.makeVolumes}
	for _, args := range d.networkArgs() {
		steps = append(steps, func() error {
			_, err := d.engine.Output(d.ctx, nil, args...)
			return err
		})
	}
	return d.together(steps...)
}

// networkArgs are the networks: egress-proxy's way out, and in the mode bridge
// the one that it shares with the agent.
func (d *dock) networkArgs() [][]string {
	of := func(what string, options ...string) []string {
		args := append([]string{"network", "create"}, options...)
		args = append(args, labelArgs(d.labels, map[string]string{labelRole: what})...)
		return append(args, d.object(what))
	}
	if d.bridged() {
		return [][]string{of(netOut), of(netIn, innerOptions...)}
	}
	return [][]string{of(netOut)}
}

// innerOptions are of the network that agent and proxy share: no way out, and no
// address of the host's on the bridge, by which every service of the host could
// be reached.
var innerOptions = []string{"--internal", "--opt", "com.docker.network.bridge.inhibit_ipv4=true"}

// volumes are those that this bottle has.
func (d *dock) volumes() []string {
	list := []string{volProxy, volQueue, volRun}
	if !d.bridged() {
		list = append(list, volLend)
	}
	if !d.bind {
		list = append(list, volWork)
	}
	if d.manifest.Pipelock.Image != "" {
		list = append(list, volPipelock)
	}
	return list
}

func (d *dock) volumeArgs(what string) []string {
	args := append([]string{"volume", "create"}, labelArgs(d.labels, map[string]string{labelRole: what})...)
	return append(args, d.object(what))
}

func (d *dock) makeVolumes() error {
	var steps []func() error
	var names []string
	for _, what := range d.volumes() {
		names = append(names, d.object(what))
		steps = append(steps, func() error {
			_, err := d.engine.Output(d.ctx, nil, d.volumeArgs(what)...)
			return err
		})
	}
	if err := d.together(steps...); err != nil {
		return err
	}
	out, err := d.engine.Output(d.ctx, nil, append([]string{"volume", "inspect", "--format", "{{json .Labels}}"}, names...)...)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for _, name := range names {
		var labels map[string]string
		if err := dec.Decode(&labels); err != nil && err != io.EOF {
			return err
		}
		if labels[labelID] != d.id {
			return cli.Refusedf("volume %s is there already, and not this bottle's\nhint: 'bottlerun gc' removes what a killed launcher left; 'docker volume rm %s' removes that one", name, name)
		}
	}
	return nil
}

// A container is what docker create is told besides the hardening.
type container struct {
	role    string
	labels  map[string]string
	image   string
	user    string
	flags   []string
	volumes []string // as in -v
	command []string // an absolute path, and arguments
}

// hardening is every container's. An image's own health check would run beside the
// agent without our filter.
var hardening = []string{"--interactive", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--ipc", "private",
	"--pull", "never", "--no-healthcheck"}

// partHardening is that of our own parts and of pipelock.
var partHardening = []string{"--read-only", "--pids-limit", "256"}

func (d *dock) createArgs(c container) []string {
	args := append([]string{"create", "--name", d.object(c.role)}, hardening...)
	args = append(args, d.ulimits()...)
	args = append(args, labelArgs(d.labels, c.labels, map[string]string{labelRole: c.role})...)
	if c.user != "" {
		args = append(args, "--user", c.user)
	}
	args = append(args, c.flags...)
	for _, v := range c.volumes {
		args = append(args, "--volume", v)
	}
	args = append(args, "--entrypoint", c.command[0], c.image)
	return append(args, c.command[1:]...)
}

// ulimits: podman's own defaults may be above what it may set.
func (d *dock) ulimits() []string {
	flags := []string{"--ulimit", "core=1"} // sandbox, noCores: not 0
	if d.engine.Podman() {
		flags = append(flags, "--ulimit", "nofile=16384", "--ulimit", "nproc=4096")
	}
	return flags
}

func (d *dock) create(c container) error {
	_, err := d.engine.Output(d.ctx, nil, d.createArgs(c)...)
	return err
}

// part is a container of our own image.
func (d *dock) part(role string, memory string, p sandbox.Part, flags []string, volumes ...string) container {
	flags = slices.Concat(partHardening, []string{"--memory", memory, "--memory-swap", memory}, d.logging(), flags)
	return container{role: role, image: d.image, user: partUserText, flags: flags, volumes: volumes,
		command: append([]string{partProgram}, p.Args()...)}
}

// logging keeps what a part says within bounds.
func (d *dock) logging() []string {
	if d.engine.Podman() {
		return []string{"--log-opt", "max-size=64m"}
	}
	return []string{"--log-driver", "local", "--log-opt", "max-size=64m", "--log-opt", "max-file=2"}
}

// volume is one of the bottle's at a path of a container.
func (d *dock) volume(what, at string, options ...string) string {
	return strings.Join(append([]string{d.object(what), at}, options...), ":")
}

// noForward keeps a container with two networks from joining them.
var noForward = []string{"--sysctl", "net.ipv4.ip_forward=0"}

func (d *dock) proxyContainer() container {
	p := sandbox.Part{Fd: "lent:" + lendSocket, Command: append([]string{imageProg + "egress-proxy"}, d.dockProxyArgs()...)}
	volumes := []string{d.volume(volProxy, string(inside))}
	if d.bridged() {
		p.Fd = "in:" + d.inner + "," + proxyPort
	} else {
		volumes = append(volumes, d.volume(volLend, lendDir))
	}
	p.Canary = canaryPort
	return d.part(roleProxy, "1g", p, append([]string{"--network", d.object(netOut)}, noForward...), volumes...)
}

// Ports in the bottle's networks: the proxy's in the mode bridge, and one that is
// open for the self-test, which must not reach it.
const (
	proxyPort  = "9099"
	canaryPort = "9098"
)

func (d *dock) superContainer() container {
	p := sandbox.Part{Fd: "unix:" + sandbox.Supervise, Relay: sandbox.InitSocket,
		Command: []string{imageProg + "superviser", "serve", "-queue", inside.Queue(), "-proxy", d.proxyURL(), "-listen", "fd:3"}}
	if d.manifest.Dockerfile != "" {
		p.Command = append(p.Command, "-dockerfile", inside.In(dockerfileName))
	}
	volumes := []string{d.volume(volQueue, string(inside)), d.volume(volRun, sandbox.RunDir)}
	network := []string{"--network", "none"}
	if d.bridged() {
		network = []string{"--network", d.object(netIn)}
	} else {
		p.Lend = sandbox.ProxyAddr + "=" + lendSocket
		volumes = append(volumes, d.volume(volLend, lendDir))
	}
	return d.part(roleSuper, "256m", p, append(network, d.nameless()...), volumes...)
}

// nameless is what keeps names from being resolved, and look-ups short: the
// engine's own resolver asks the host's for the agent, on some engines also where
// the network is internal (CVE-2024-29018).
func (d *dock) nameless() []string {
	flags := []string{"--hostname", d.name}
	if d.engine.Podman() {
		return flags // which refuses the rest in the mode none, where nothing can be asked
	}
	return append(flags, "--dns", "127.0.0.1", "--dns-option", "timeout:1", "--dns-option", "attempts:1")
}

// workRoot is where the workspace is, in a folder of the bottle's name.
const workRoot = "/work"

// The agent's limits where the manifest has none.
const (
	agentMemory = "4g"
	agentPids   = 1024
	agentTmp    = "2g"
)

func (d *dock) agentContainer(env []string) container {
	l := d.manifest.Limits
	memory, pids := agentMemory, agentPids
	if l.Memory > 0 {
		memory = strconv.FormatInt(l.Memory, 10)
	}
	if l.Pids > 0 {
		pids = l.Pids
	}
	flags := []string{"--network", "container:" + d.object(roleSuper), "--workdir", d.workDir(), "--pids-limit", strconv.Itoa(pids),
		"--memory", memory, "--memory-swap", memory, "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777,size=" + agentTmp}
	if l.CPUs > 0 {
		flags = append(flags, "--cpus", strconv.FormatFloat(l.CPUs, 'f', -1, 64))
	}
	if d.back.terminal(d.env) {
		flags = append(flags, "--tty")
	}
	flags = append(flags, "--log-driver", "none") // what the agent prints is the operator's, not the engine's
	for _, e := range env {
		flags = append(flags, "--env", e)
	}
	flags = append(flags, d.workMounts()...)
	return container{role: roleAgent, labels: d.agentLabels(), image: d.agent.name, user: d.user.asked,
		flags: flags, volumes: []string{d.volume(volRun, sandbox.RunDir, "ro")},
		command: append([]string{filepath.Join(sandbox.BinDir, "bottlerun")}, sandbox.Contained(d.command)...)}
}

// workDir is the workspace in the agent's container: a folder on the volume and
// not its root, whose owner no copy can set.
func (p *plan) workDir() string { return workRoot + "/" + p.name }

// dockProxyArgs: routes and authority are on the proxy's volume.
func (d *dock) dockProxyArgs() []string {
	args := []string{"-listen", "fd:3", "-bottle", d.name, "-routes", inside.Routes(), "-ca-cert", inside.CACert(), "-ca-key", inside.CAKey(),
		"-token-dir", inside.Tokens(), "-access-log", "-", "-upstream-ca", upstreamCA}
	switch {
	case d.probe != nil:
		args = append(args, "-upstream", "http://"+net.JoinHostPort(d.upstream, pipelockPort))
	case d.manifest.Pipelock.Image != "":
		args = append(args, "-upstream", "http://"+d.object(rolePipelock)+":"+pipelockPort)
	}
	for _, n := range d.manifest.EgressProxy.AllowPrivate {
		args = append(args, "-allow-private", n.String())
	}
	return args
}

// upstreamCA is what the proxy trusts: our image has no roots of its own.
var upstreamCA = inside.In("egress-proxy", "upstream-ca.pem")

// pipelockPort is where pipelock listens on the network out.
const pipelockPort = "8888"
