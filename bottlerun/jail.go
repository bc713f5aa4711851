package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/sandbox"
)

// A jail is what the agent runs in, with the bottle's parts around it: a sandbox,
// containers, or nothing but variables.
type jail interface {
	proxyURL() string
	// LetGo checks that the proxy answers, and starts the agent.
	letGo() error
	// Tested is what the self-test has tried; nothing where there is none.
	tested() []sandbox.Trial
	// Pid of the process whose end is the agent's; 0 when it is none of this machine.
	pid() int
	signal(os.Signal) error
	// Gone is closed when the agent has ended and the rest of the jail is about to;
	// nil when that is not known before wait returns.
	gone() <-chan struct{}
	// Wait returns the agent's exit code once all has ended.
	wait() (int, error)
	// Kill ends the agent at once, also one that has not been let go.
	kill()
	// Close frees what is left when all has ended.
	close()
}

// A place is a jail on this machine, whose listeners are handed to parts that are
// processes of the launcher.
type place interface {
	jail
	// Open finds out what can be refused.
	open() error
	// Begin begins to make the place, with the authority's certificate and the bundle.
	begin(ca, pem []byte) error
	// Built waits until it is made, with the listeners. The agent does not run yet.
	built() error
	// Proxy and super are the sockets for egress-proxy and superviser, once built.
	proxy() *os.File
	super() *os.File
}

// healthz answers 200 when the proxy serves.
const healthz = "http://_egress-proxy.local/healthz"

// localJail is the sandbox of Linux namespaces.
type localJail struct {
	plan  *plan
	env   *cli.Env
	watch *watch
	work  *sandbox.Workspace
	group *sandbox.Group // nil: no limits that take one
	sb    *sandbox.Sandbox
	free  bool // it was let go, and not waited for yet
	over  bool // it was waited for
}

func (j *localJail) open() error {
	work, err := sandbox.OpenWorkspace(j.plan.work, j.plan.policy)
	if err != nil {
		return cli.Refused(err)
	}
	j.work = work
	for _, n := range work.Notes() {
		note(j.env, "%s", n)
	}
	noteMasks(j.env, work)
	notePath(j.env, work.Path, j.plan.getenv("PATH"))
	return nil
}

func (j *localJail) begin(ca, pem []byte) error {
	cfg, err := j.config(ca, pem)
	if err != nil {
		return err
	}
	j.sb, err = sandbox.Begin(cfg)
	return j.explain(err)
}

func (j *localJail) built() error {
	err := j.sb.Built()
	if err != nil {
		j.sb = nil // nothing is left of it
	} else {
		j.noteLacking()
	}
	return j.explain(err)
}

// explain says why there is no sandbox, and what would help.
func (j *localJail) explain(err error) error {
	if err == nil {
		return nil
	}
	if cause := sandbox.Probe(); cause != nil {
		return cause // exit 3
	}
	return cli.Exit(sandbox.CannotStart, err)
}

func (j *localJail) config(ca, pem []byte) (sandbox.Config, error) {
	p := j.plan
	agentEnv, err := p.agentEnv(j.proxyURL())
	if err != nil {
		return sandbox.Config{}, err
	}
	files, err := bottle.Files(p.manifest, pem)
	if err != nil {
		return sandbox.Config{}, err
	}
	files["ca.pem"], files["mcp.json"] = ca, []byte(mcpConfig)
	cfg := sandbox.Config{
		Name: p.name, Args: p.command, Env: unstamped(agentEnv, j.work), Workspace: j.work, ReadOnly: p.readOnly, Bundle: pem,
		Files:    files,
		Home:     bottle.Home(p.manifest, bottle.Inside{Workspace: p.work, Superviser: superviser}),
		Programs: p.insidePrograms(),
		Listen:   []sandbox.Listen{{Name: "proxy", Network: "tcp", Address: sandbox.ProxyAddr}, {Name: "super", Network: "unix", Address: sandbox.Supervise}},
		Pids:     uint64(p.manifest.Limits.Pids),
		TmpBytes: uint64(p.manifest.Limits.Memory), // a tmpfs is memory
		Group:    j.group,
	}
	out, diag := p.back.streams(j.env)
	cfg.Stdout, cfg.Stderr = j.watch.writer(out), j.watch.writer(diag)
	cfg.Stdin, _ = j.env.Stdin.(*os.File)
	cfg.Terminal = p.back.terminal(j.env)
	return cfg, nil
}

// insidePrograms are those of the bottle's own that its agent has.
func (p *plan) insidePrograms() map[string]string {
	if p.probe != nil {
		return map[string]string{"superviser": p.super, "bottlerun": p.probe.self}
	}
	return map[string]string{"superviser": p.super}
}

// superviser is what joins an MCP client in the sandbox to the superviser.
var superviser = []string{sandbox.BinDir + "/superviser", "connect", sandbox.Supervise}

// mcpConfig tells an MCP client how to reach the superviser; for Claude Code:
// --mcp-config /run/bottle/mcp.json.
const mcpConfig = `{"mcpServers":{"superviser":{"type":"stdio","command":"` + sandbox.BinDir + `/superviser","args":["connect","` + sandbox.Supervise + `"]}}}
`

func (j *localJail) proxy() *os.File  { return j.sb.Listener("proxy") }
func (j *localJail) super() *os.File  { return j.sb.Listener("super") }
func (j *localJail) proxyURL() string { return "http://" + sandbox.ProxyAddr }
func (j *localJail) pid() int         { return j.sb.Pid() }

func (j *localJail) letGo() error {
	if err := j.sb.Go(sandbox.Check{Healthy: healthz}); err != nil {
		return cli.Exit(sandbox.CannotStart, err)
	}
	j.free = true
	if code := j.sb.Refused(); code != 0 && j.plan.back.output != nil {
		j.wait() // and its words are in the file
		return cli.Exit(code, fmt.Errorf("the command was not executed:\n%s", lastLines(j.plan.back.file, 2)))
	}
	if err := j.sb.Serve(j.plan.dir.Exec()); err != nil {
		note(j.env, "bottlerun exec will not work: %v", err)
	}
	return nil
}

func (j *localJail) tested() []sandbox.Trial { return j.sb.Tested() }

func (j *localJail) gone() <-chan struct{}      { return j.sb.Ended() }
func (j *localJail) signal(sig os.Signal) error { return j.sb.Signal(sig) }
func (j *localJail) kill()                      { j.sb.Kill() }

func (j *localJail) wait() (int, error) {
	j.free, j.over = false, true
	code, err := j.sb.Wait()
	if j.sb.Killed() > 0 {
		note(j.env, "the agent's processes reached the limit of memory; the kernel killed %d", j.sb.Killed())
	}
	return code, err
}

// noteLacking says which limits the system has nobody for.
func (j *localJail) noteLacking() {
	if j.group == nil {
		return
	}
	for _, l := range j.group.Lacking() {
		note(j.env, "limits.%s: %v has no controller for it; nobody bounds it", l, j.group)
	}
}

func (j *localJail) close() {
	switch {
	case j.sb == nil:
	case j.free:
		j.sb.Kill()
		j.sb.Wait()
	case !j.over:
		j.sb.Abandon()
	}
	if j.sb != nil {
		noteReplaced(j.env, "for a moment", j.sb.Replaced())
	}
	if j.work != nil {
		notePlanted(j.env, j.work)
		j.work.Close()
	}
	if j.group != nil {
		if err := j.group.Remove(); err != nil {
			note(j.env, "%v", err)
		}
	}
}

// notePath names what of the operator's own PATH is in the workspace: the agent
// may put programs there.
func notePath(env *cli.Env, work, path string) {
	for _, dir := range filepath.SplitList(path) {
		real, err := filepath.EvalSymlinks(dir)
		if !filepath.IsAbs(dir) || err == nil && (real == work || strings.HasPrefix(real, work+"/")) {
			note(env, "your PATH has %q, which is in the workspace when you are: what the agent puts there runs when you type its name\nhint: leave it out where you run nothing of the project", dir)
		}
	}
}

// noteReplaced names what this machine's own programs have written anew.
func noteReplaced(env *cli.Env, howLong string, list []string) {
	for i, rel := range list {
		list[i] = escape.Text(rel, 0)
	}
	if len(list) > 0 {
		note(env, "replaced on this machine while the bottle ran, and %s within the agent's reach: %s\nhint: look whether it is what you wrote", howLong, strings.Join(list, ", "))
	}
}

// notePlanted names what the host would obey, and nothing kept the agent from
// making.
func notePlanted(env *cli.Env, work *sandbox.Workspace) {
	for _, rel := range work.Planted() {
		note(env, "the agent has made %s, which programs of yours obey\nhint: look at it before you start them in this folder", escape.Text(rel, 0))
	}
}
