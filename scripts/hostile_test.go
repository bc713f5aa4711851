package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bottle/pkg/docker/dockertest"
)

// siegeRows are the rows that the hostile agent has to have tried, and how often
// at least in every bottle.
var siegeRows = map[string]int{"identity": 15, "descriptors": 3, "streams": 6, "host addresses": 4, "metadata": 1, "names": 9, "raw network": 25,
	"network settings": 5, "hypervisor": 4, "abstract sockets": 1, "path sockets": 15, "keyrings": 9, "kernel": 30, "architectures": 2, "namespaces": 30,
	"mounts": 30, "process 1": 20, "proc": 20, "devices": 10, "terminal": 10, "set-uid": 12, "host files": 20, "credentials": 2, "masks": 2, "proxy": 70,
	"superviser": 8, "exhaustion": 4}

// hostRuns are the paths that the host runs or obeys by itself: what the threat
// model names, whatever the product's own list says.
var hostRuns = []string{".git/hooks", ".git/config", ".gitmodules", ".mcp.json", ".vscode", ".idea", ".claude/commands", ".claude/agents", ".claude/settings.json",
	".envrc", ".bashrc", ".zshrc", ".profile", ".codex/config.toml", ".gemini/settings.json", ".cursor/mcp.json", ".devcontainer", ".zed", ".helix", ".hg/hgrc",
	"mise.toml", "opencode.json"}

// TestHostile: an agent that tries every row of the threat model gets nowhere.
//
// README: A hostile agent that tries each row of the threat model
// (`scripts/testdata/hostile`) is blocked at each, in both backends.
func TestHostile(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := newBait(t, op)
		b.Local = true
		b.project()
		b.secrets()
		b.route()
		b.Protected = b.covered(t)
		before := tree(t, op.work)
		list, r := b.besiege("siege")
		b.held(t, list, r)
		if n := count(list, "blocked")["workspace"]; n < 15*len(b.Protected) {
			t.Errorf("only %d attempts at %d protected paths", n, len(b.Protected))
		}
		if fi, err := os.Stat(filepath.Join(op.work, "mine")); err != nil || int(fi.Sys().(*syscall.Stat_t).Uid) != op.uid {
			t.Errorf("what the agent made is not the operator's: %v, %v", fi, err)
		}
		// What it left for a bottle to come.
		op.want(1, "sock\" is a socket", "bottlerun", "run", "-f", op.manifest, "siege", "--", "true")
		for _, f := range []string{"sock", "mine", "hostile"} {
			must(t, os.Remove(filepath.Join(op.work, f)))
		}
		if after := tree(t, op.work); after != before {
			t.Errorf("left in the workspace:\n%s\nit was:\n%s", after, before)
		}
	})
}

// TestHostileSecond: a second command gets as far as the agent, which is nowhere;
// and the agent goes on beside it.
func TestHostileSecond(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := newBait(t, op)
		b.Local, b.Beside = true, 2 // the agent, and the second command's parent
		b.project()
		b.secrets()
		b.route()
		b.Protected = b.covered(t)
		agent := op.start("siege")
		list, r := b.storm("exec", "siege")
		b.held(t, list, r)
		if out, code := agent.sh("echo goes on"); out != "goes on\n" || code != 0 {
			t.Errorf("the agent answers %q", out)
		}
	})
}

// TestHostileOnTerminal: with a terminal the agent has one of its own, and nothing
// of the operator's.
func TestHostileOnTerminal(t *testing.T) {
	op := asSelf(t)
	b := newBait(t, op)
	b.route()
	b.Local, b.terminal, b.Only = true, true, []string{"descriptors", "streams", "process 1", "terminal"}
	list, r := b.besiege("siege")
	blocked := count(list, "blocked")
	for _, row := range b.Only {
		if blocked[row] < siegeRows[row] {
			t.Errorf("%s: %d attempts blocked; wanted at least %d", row, blocked[row], siegeRows[row])
		}
	}
	if r.code != 0 {
		t.Errorf("%v", r)
	}
}

// project makes the workspace one that has some of the protected paths.
func (b *bait) project() {
	for name, text := range map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/config": "[core]\n\thooksPath = ci/hooks\n", ".git/hooks/own": "mine\n",
		".git/objects/x": "", ".git/refs/x": "", "ci/hooks/post-checkout": "mine\n", ".envrc": "mine\n", ".claude/settings.json": "{}\n", ".vscode/tasks.json": "{}\n",
		".hg/requires": "", "mise.toml": "# mine\n", "opencode.json": "{}\n"} {
		b.op.write(filepath.Join(b.op.work, name), text, 0o644)
	}
}

// secrets puts some of the operator's into the workspace, which are empty to the
// agent.
func (b *bait) secrets() {
	b.Masked = []string{".env", "deploy/prod/id_ed25519"}
	for _, f := range b.Masked {
		b.op.write(filepath.Join(b.op.work, f), "SECRET="+baitMark+"file\n", 0o600)
	}
}

// route writes the manifest: a credential for a host, and a limit.
func (b *bait) route() {
	b.op.allow("allowed.test", "  routes: [{host: credential.test, auth: {scheme: Bearer, token_ref: BAIT_TOKEN}}]\n")
	data, err := os.ReadFile(b.op.manifest)
	must(b.op.t, err)
	b.op.write(b.op.manifest, string(data)+"limits: {pids: 250}\n", 0o644)
}

// covered are the paths that a plan says are read-only or masked, with all of
// hostRuns among them.
func (b *bait) covered(t *testing.T) (list []string) {
	t.Helper()
	for line := range strings.Lines(b.op.must("bottlerun", "run", "-n", "-f", b.op.manifest, "siege", "--", "true")) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), "\t") // read-only, masked
		if rel, ok := strings.CutPrefix(path, b.op.work+"/"); ok {
			list = append(list, rel)
		}
	}
	for _, p := range slices.Concat(hostRuns, b.Masked, []string{"ci/hooks"}) {
		if !slices.ContainsFunc(list, func(c string) bool { return p == c || strings.HasPrefix(p, c+"/") }) {
			t.Errorf("%s is not covered: %s", p, list)
		}
	}
	return list
}

// held checks that nothing is open, that all was tried, and that nothing around
// the bottle was touched.
func (b *bait) held(t *testing.T, list []attempt, r result) {
	t.Helper()
	for _, a := range list {
		if a.verdict == "OPEN" {
			t.Error(a)
		}
	}
	blocked := count(list, "blocked")
	for row, least := range siegeRows {
		if blocked[row] < least {
			t.Errorf("%s: %d attempts blocked; wanted at least %d", row, blocked[row], least)
		}
	}
	if r.code != 0 || len(list) == 0 {
		t.Errorf("exit %d, %d attempts\n%s\n%s", r.code, len(list), tail(r.out, 5), r.errors)
	}
	if touched := b.bitten(); len(touched) > 0 {
		t.Errorf("touched: %q", touched)
	}
	for _, f := range b.Files {
		if got, err := os.ReadFile(f); string(got) != baitMark+"file\n" {
			t.Errorf("%s: %q, %v", f, got, err)
		}
	}
	t.Logf("%d attempts", len(list))
}

// tree lists a folder's files with their modes, owners and sizes.
func tree(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "(", "-name", "hostile.json", "-o", "-name", "hostile", ")", "-o", "-printf", "%P %m %U %s %l\n").Output()
	must(t, err)
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestHostileOutside: the same agent finds the same things open where there is no
// sandbox, so that the other tests can fail.
func TestHostileOutside(t *testing.T) {
	uid := os.Geteuid()
	if uid == 0 {
		uid = strangerUID
	}
	op := newOperator(t, uid)
	b := newBait(t, op)
	b.project()
	b.secrets()
	b.route()
	b.Protected = []string{".envrc", ".git/hooks", ".zed"}
	open := []string{"descriptors", "streams", "host addresses", "abstract sockets", "path sockets", "host files", "workspace", "masks", "credentials"}
	b.Only = append(open, "keyrings")
	list, r := b.besiege("-backend", "env", "siege")
	found := count(list, "OPEN")
	for _, row := range open {
		if found[row] == 0 {
			t.Errorf("%s: found nothing open", row)
		}
	}
	if b.Key != 0 && found["keyrings"] == 0 {
		t.Error("keyrings: found nothing open")
	}
	if r.code != 1 || len(b.bitten()) < 4 {
		t.Errorf("touched: %q; %v", b.bitten(), r)
	}
}

// TestHostileInDocker is the same agent in a container. What it plants in its copy
// of the workspace must not come back, and in the workspace itself not be there.
func TestHostileInDocker(t *testing.T) {
	agentImage(t, dockertest.Engine(t)) // which all have; they run at once
	hostileProgram(t)
	for _, way := range []struct {
		name  string
		flags []string
	}{
		{"none", nil},
		{"bridge", []string{"-network", "bridge"}},
		{"bind", []string{"-bind"}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			d := newDockside(t, "limits: {pids: 250}\n")
			b := newBait(t, d.operator)
			d.env = append(d.env, "E2E_START="+baitMark+"token")
			b.Empty, b.Copied = way.name != "bridge", way.name != "bind"
			b.project()
			b.secrets()
			b.Protected = b.covered(t)
			if way.name == "bind" && os.Geteuid() == 0 {
				must(t, exec.Command("chown", "-R", "1000:1000", d.work).Run())
			}
			before := tree(t, d.work)
			list, r := b.besiege(append(append([]string{"-backend", "docker"}, way.flags...), d.name)...)
			b.held(t, list, r)
			for _, f := range []string{"mine", "sock"} {
				os.Remove(filepath.Join(d.work, f))
			}
			for _, p := range b.Protected { // empty folders are held back in no spelling
				for dir := filepath.Dir(strings.ToUpper(p)); dir != "."; dir = filepath.Dir(dir) {
					os.Remove(filepath.Join(d.work, dir))
				}
			}
			if after := tree(t, d.work); after != before {
				t.Errorf("left in the workspace:\n%s\nit was:\n%s", after, before)
			}
			if n := count(list, "planted")["workspace"]; b.Copied && n < len(b.Protected) {
				t.Errorf("only %d were planted: %s", n, r.out)
			}
		})
	}
}
