package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/mirror"
	"bottle/pkg/route"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// A plan is all that is decided before anything is done.
type plan struct {
	name     string
	backend  string
	dir      state.Dir
	root     string // of all bottles' state
	manifest *bottle.Manifest
	text     []byte // of the manifest, as it is kept
	work     string // the workspace
	command  []string
	table    *route.Table
	slots    map[string]string // token slot -> variable of the operator's
	tokens   map[string]string // token slot -> value; never printed
	proxy    string            // paths of the programs
	super    string
	pipelock string // "" when there is none
	lock     mirror.Settings
	endsTLS  bool // by the second proxy, with an authority of its own
	policy   sandbox.Policy
	readOnly []string
	network  string // of the docker backend: none or bridge
	bind     bool   // and whether the workspace itself is shown
	context  string
	back     background
	probe    *probe // of doctor's own bottle
	getenv   func(string) string
}

// options is the command line of run.
type options struct {
	backend, manifest, dir, name string
	readOnly, writable           []string
	force, dry, bind             bool
	network, context, output     string
	ready                        int
	command                      []string
}

// makePlan decides and checks everything that can be checked beforehand.
func makePlan(o options, getenv func(string) string) (*plan, error) {
	p := &plan{getenv: getenv, readOnly: o.readOnly, context: o.context}
	for _, step := range []func(options) error{p.readManifest, p.findBackend, p.findDocker, p.findWorkspace, p.findName, p.findCommand, p.findRoutes, p.findPipelock, p.findTokens, p.findPrograms, p.setPolicy, p.checkOutput} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// manifestName is what run looks for in the current folder.
const manifestName = "bottle.yaml"

func (p *plan) readManifest(o options) error {
	name := o.manifest
	if name == "" {
		name = manifestName
	}
	data, err := os.ReadFile(name)
	// A folder of that name is what a killed launcher left (sandbox, placeholders).
	if o.manifest == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR)) {
		p.manifest, err = bottle.Parse("no manifest", []byte("{}"))
		return err
	}
	if err != nil {
		return err
	}
	if p.manifest, err = bottle.Parse(name, data); err != nil {
		return cli.Refused(err)
	}
	p.text = data
	base, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return err
	}
	m := p.manifest
	for _, path := range []*string{&m.Workspace, &m.EgressProxy.UpstreamCA, &m.Pipelock.Config, &m.Dockerfile} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(base, *path)
		}
	}
	for _, path := range m.ReadOnly {
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		p.readOnly = append(p.readOnly, path)
	}
	return nil
}

// findDocker reads what is for the docker backend alone.
func (p *plan) findDocker(o options) error {
	m := p.manifest
	if p.backend != backendDocker {
		return nil
	}
	if m.Image == "" && m.Dockerfile == "" {
		return cli.Refusedf("the manifest has no image; the backend docker wanted image: NAME, of any image that the engine has, or dockerfile: FILE")
	}
	if len(p.readOnly) > 0 {
		return cli.Refusedf("read_only shows files of this machine, and a container has its image's; wanted them in the image or the workspace")
	}
	p.network, p.bind = networkNone, o.bind || m.Docker.Bind
	for _, n := range []string{m.Docker.Network, o.network} {
		if n != "" {
			p.network = n
		}
	}
	if p.bridged() && docker.Open(p.getenv, "").Podman() {
		return cli.Refusedf("network bridge: podman's name server and its gateway can be reached from an internal network; wanted none with podman")
	}
	return nil
}

func (p *plan) findWorkspace(o options) error {
	dir := o.dir
	if dir == "" {
		dir = p.manifest.Workspace
	}
	if dir == "" {
		dir = "."
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return cli.Refusedf("workspace %s: %v; wanted a folder of one project\nhint: make it first, or name another with -dir", dir, reason(err))
	}
	if fi, err := os.Stat(real); err != nil || !fi.IsDir() {
		return cli.Refusedf("workspace %s: not a folder; wanted one of one project\nhint: name its folder with -dir", dir)
	}
	if real == "/" {
		return cli.Refusedf("workspace /: everything is below it; wanted a folder of one project")
	}
	p.work = real
	return nil
}

func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (p *plan) findName(o options) error {
	p.name = o.name
	if p.name == "" {
		p.name = p.manifest.Name
	}
	if p.name == "" {
		p.name = slugOf(filepath.Base(p.work))
	}
	root, err := state.Root(p.getenv)
	if err != nil {
		return err
	}
	p.root = root
	p.dir, err = state.At(root, p.name)
	if err != nil {
		return cli.Misused("%v", err)
	}
	return nil
}

// slugOf makes a name out of a folder's.
func slugOf(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	s = strings.Trim(s, "-")
	return s[:min(len(s), 63)]
}

func (p *plan) findCommand(o options) error {
	if len(o.command) > 0 {
		p.manifest.SetCommand(o.command)
	}
	p.command = p.manifest.Command
	if len(p.command) == 0 && p.backend != backendDocker { // an image may have one
		return cli.Misused("no command for the agent; wanted -- COMMAND or the manifest's command")
	}
	return nil
}

func (p *plan) findRoutes(options) (err error) {
	p.table, p.slots, err = bottle.EffectiveRoutes(p.manifest)
	return cli.Refused(err)
}

// findTokens reads the credentials from the operator's environment. All that
// is missing is named at once, and no value ever.
func (p *plan) findTokens(options) error {
	p.tokens = map[string]string{}
	var faults []string
	for _, slot := range slices.Sorted(maps.Keys(p.slots)) {
		ref := p.slots[slot]
		value := p.getenv(ref)
		switch {
		case value == "":
			faults = append(faults, fmt.Sprintf("token_ref %s: the variable is not set; wanted the credential in it", ref))
		case strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
			faults = append(faults, fmt.Sprintf("token_ref %s: the variable's value has control characters in it", ref))
		}
		p.tokens[slot] = value
	}
	if faults != nil {
		return cli.Refusedf("%s", strings.Join(faults, "\n"))
	}
	return nil
}

func (p *plan) findPrograms(options) (err error) {
	if p.proxy, err = sibling("egress-proxy", p.getenv); err != nil {
		return err
	}
	if p.super, err = sibling("superviser", p.getenv); err != nil {
		return err
	}
	lock := p.manifest.Pipelock
	if p.backend == backendDocker {
		if lock.Program != "" {
			return cli.Refusedf("pipelock.program %s: a program is for the other backends; wanted pipelock.image with -backend docker", lock.Program)
		}
		return nil
	}
	if lock.Image != "" {
		return cli.Refusedf("pipelock.image %s: an image is for the docker backend; wanted pipelock.program with -backend %s", lock.Image, p.backend)
	}
	if lock.Program != "" {
		p.pipelock, err = lookPath(lock.Program, p.getenv)
	}
	return err
}

// sibling is the program name of the same build, else that of PATH.
func sibling(name string, getenv func(string) string) (string, error) {
	if path := cli.Sibling(name); path != name {
		return path, nil
	}
	return lookPath(name, getenv)
}

// lookPath is exec.LookPath with the PATH that the program was given, and
// without the current folder.
func lookPath(name string, getenv func(string) string) (string, error) {
	if strings.Contains(name, "/") {
		if !executable(name) {
			return "", fmt.Errorf("%s: no such program", name)
		}
		return filepath.Abs(name)
	}
	for _, dir := range filepath.SplitList(getenv("PATH")) {
		if path := filepath.Join(dir, name); filepath.IsAbs(path) && executable(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s: not beside bottlerun and not in PATH", name)
}

func executable(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}

func (p *plan) setPolicy(o options) error {
	manifest := o.manifest
	if manifest == "" {
		manifest = manifestName // of this folder, which need not be the workspace
	}
	p.policy = sandbox.Policy{
		Force: o.force, Writable: o.writable, Hidden: []string{p.root},
		Keep: []string{p.proxy, p.super, p.pipelock, manifest, p.manifest.EgressProxy.UpstreamCA, p.manifest.Pipelock.Config,
			p.manifest.Dockerfile},
		Getenv: p.getenv, Park: p.dir.Placeholders(),
		Mask: p.manifest.Protect.Mask, Show: p.manifest.Protect.Show, ShowSecrets: !p.manifest.Protect.Secrets,
	}
	if !p.manifest.Protect.GitConfig {
		p.policy.Writable = append(p.policy.Writable, ".git/config", ".git/config.worktree")
	}
	// What is shown read-only is so in the workspace too, which lies over the rest.
	p.policy.Keep = append(p.policy.Keep, p.readOnly...)
	for _, path := range p.readOnly {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil && real == p.work {
			return cli.Refusedf("read-only %s: it is the workspace, which the agent writes; wanted something in it, or elsewhere", path)
		}
	}
	if self, err := os.Executable(); err == nil {
		p.policy.Keep = append(p.policy.Keep, self)
	}
	for _, name := range []string{"routesctl", "pipemirror"} { // what an approval runs
		if path := cli.Sibling(name); path != name {
			p.policy.Keep = append(p.policy.Keep, path)
		}
	}
	p.policy.Keep = slices.DeleteFunc(p.policy.Keep, func(s string) bool { return s == "" })
	for i, path := range p.policy.Keep {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		p.policy.Keep[i] = abs
	}
	return nil
}

// print writes the plan, for -n.
func (p *plan) print(env *cli.Env) error {
	w := io.Writer(env.Stdout)
	var b strings.Builder
	line := func(key string, words ...string) { fmt.Fprintf(&b, "%s\t%s\n", key, strings.Join(words, " ")) }
	line("bottle", p.name)
	line("backend", p.backend)
	line("state", string(p.dir))
	line("workspace", p.work)
	if p.backend == backendLocal {
		if err := p.printWorkspace(line); err != nil {
			return err
		}
	}
	for _, r := range p.table.Routes {
		line("route", routeLine(r)...)
	}
	for _, slot := range slices.Sorted(maps.Keys(p.slots)) {
		line("token", slot, "from", p.slots[slot])
	}
	if p.backend == backendDocker {
		if err := p.printDocker(env, line); err != nil {
			return err
		}
		line("agent", p.command...)
		_, err := io.WriteString(w, b.String())
		return err
	}
	if p.pipelock != "" {
		line("start", append([]string{p.pipelock}, mirror.Args(p.dir.Pipelock(), "127.0.0.1:PORT")...)...)
	}
	upstream := ""
	if p.pipelock != "" {
		upstream = "http://127.0.0.1:PORT"
	}
	line("start", append([]string{p.proxy}, p.proxyArgs(upstream)...)...)
	line("start", append([]string{p.super}, p.superviserArgs(p.plannedProxy())...)...)
	vars, err := p.agentEnv(p.plannedProxy())
	if err != nil {
		return err
	}
	for _, e := range vars {
		line("env", e)
	}
	line("agent", p.command...)
	_, err = io.WriteString(w, b.String())
	return err
}

func (p *plan) printWorkspace(line func(string, ...string)) error {
	pol := p.policy
	pol.Dry = true
	work, err := sandbox.OpenWorkspace(p.work, pol)
	if err != nil {
		return cli.Refused(err)
	}
	defer work.Close()
	for _, rel := range work.Covered() {
		line("read-only", filepath.Join(p.work, rel))
	}
	for _, path := range p.readOnly {
		line("read-only", path)
	}
	p.printMasks(line, work)
	p.printLimits(line)
	return nil
}

func routeLine(r route.Route) []string {
	words := []string{r.Host}
	words = append(words, r.PathAllowlist...)
	words = append(words, r.Methods...)
	if r.TokenEnv != "" {
		words = append(words, "with "+r.TokenEnv)
	}
	if r.TLS != "" {
		words = append(words, r.TLS)
	}
	return words
}
