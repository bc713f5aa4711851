package scripts

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/term/termtest"
)

// A step is one command of the documents, as it stands there, in a folder where
// what it names is.
type step struct {
	command string
	code    int // that it exits with
	in      string
	dir     string
	first   func(x *examplesRun)
	with    func(x *examplesRun, s step) // in the place of a shell
}

// steps are in the order of a day: a bottle by the first lines of README.md, then
// one with pipelock, by the name that the manuals use.
var steps = []step{
	{command: "export PATH=$HOME/.local/bin:$PATH"},
	{command: "cd ~/src/project"},
	{command: "bottlerun init", dir: "src/project"},
	{command: "bottlerun run", dir: "src/project", with: startsProject},
	{command: "superviser review", with: onScreen},
	{command: "superviser show ID && superviser approve ID", first: proposes("project")},
	{command: "superviser list"},
	{command: `echo '{"host": "api.github.com"}' | routesctl add -bottle project`},
	{command: "routesctl explain -bottle project GET https://api.github.com/"},
	{command: "routesctl learn -bottle project -refused -diff"},
	{command: "routesctl save -bottle project bottle.yaml", dir: "src/project"},
	{command: "bottlerun report project >report.html"},

	{command: "bottlerun init && bottlerun run", dir: "src/other"},
	{command: "bottlerun init -from old/bottle.yaml", dir: "moved"},
	{command: "bottlerun init -from ~/.srt-settings.json", dir: "src/srt"},
	{command: "bottlerun run -dir ~/src/web web -- claude"},
	{command: "bottlerun start -dir ~/src/web nightly -- ./nightly.sh"},
	{command: "bottlerun run -dir ws web -- sh -c 'exit 42'", code: 42},
	{command: "bottlerun run -n -dir plain -ro /etc/hosts web -- true"},

	{command: "routesctl fold bottle.yaml >routes.yaml"},
	{command: "routesctl profile pypi"},
	{command: "routesctl validate routes.yaml"},
	{command: "routesctl hosts routes.yaml | pipemirror names"},
	{command: "routesctl hosts routes.yaml | pipemirror merge pipelock.yaml"},
	{command: "routesctl explain routes.yaml GET https://api.github.com/repos/me", code: 1},
	{command: "routesctl test policy.txt"},
	{command: "pipemirror names hosts"},
	{command: "pipemirror merge pipelock.yaml hosts"},

	{command: "bottlerun ls", first: func(x *examplesRun) { x.web = x.op.start("web") }},
	{command: "bottlerun ls -json"},
	{command: "routesctl show -bottle web >now.yaml"},
	{command: "routesctl merge now.yaml proposal.json >next.yaml"},
	{command: "routesctl diff now.yaml next.yaml"},
	{command: "routesctl apply -bottle web -was now.yaml next.yaml"},
	{command: "routesctl replay -log access.jsonl next.yaml"},
	{command: "routesctl learn -bottle web -refused -since 1h -diff"},
	{command: "routesctl explain -bottle web GET https://api.example.test/v1/x", code: 1},
	{command: "routesctl add -bottle web proposal.json"},
	{command: "routesctl save -bottle web bottle.yaml"},
	{command: "EDITOR=nano routesctl edit -bottle web"},
	{command: "routesctl history -bottle web"},
	{command: "routesctl rollback -bottle web"},
	{command: "routesctl list"},
	{command: "routesctl list -all-contexts"},

	{command: "routesctl hosts routes.yaml | pipemirror apply -bottle web"},
	{command: "pipemirror apply -n -bottle web hosts"},
	{command: "pipemirror apply -bottle web hosts"},
	{command: "pipemirror apply -restart -passthrough '*.p.test' -bottle web hosts"},
	{command: "pipemirror show -bottle web"},
	{command: "EDITOR=nano pipemirror edit -bottle web"},
	{command: "pipemirror edit -bottle web"},

	{command: "superviser serve -bottle web", in: toPropose("served.test")},
	{command: "superviser list -bottle web"},
	{command: "superviser show -bottle web 0b27fe134f78-1"},
	{command: "superviser approve -bottle web -reason fine -for 1h 0b27fe134f78-1"},
	{command: "superviser show -bottle web 0a1b2c3d4e5f-1", first: proposes("web")},
	{command: "superviser approve -bottle web -for 1h -path /repos/me -methods GET 0a1b2c3d4e5f-1"},
	{command: "superviser reject -bottle web -reason 'use the mirror' 0a1b2c3d4e5f-1", first: proposes("web")},
	{command: "superviser decide -bottle web -approve 0a1b2c3d4e5f-1", first: proposes("web")},
	{command: "superviser audit -verify -bottle web"},
	{command: "superviser serve -queue queue -listen unix:s -wait 1m", with: untilSaid(`"msg":"listen"`)},
	{command: "superviser reject -queue queue 0b27fe134f78-1 -reason 'use the mirror'", first: proposesTo("-queue", "queue")},
	{command: "superviser audit -queue queue -verify"},

	{command: "bottlerun report web >report.html"},
	{command: "bottlerun logs -f web", with: untilSaid("allowed.test")},
	{command: "bottlerun stop web"},
	{command: "bottlerun gc"},
}

// An examplesRun is an operator in whose home the examples' files are.
type examplesRun struct {
	op  *operator
	t   *testing.T
	web *bottle
	id  string // of the last proposal, for the documents' IDs
	n   int    // proposals
}

func runSteps(t *testing.T) {
	op := asSelf(t)
	x := &examplesRun{op: op, t: t}
	const stub = "#!/bin/sh\nexec sh\n"
	for name, text := range map[string]string{
		"hosts": "a.test\n", "pipelock.yaml": "mode: strict\napi_allowlist:\n  - old.test\n",
		"proposal.json":         `{"host":"new.test"}`,
		"policy.txt":            "table routes.yaml\nallow GET https://allowed.test/\ndeny GET https://other.test/\n",
		"access.jsonl":          `{"time":"2026-01-01T00:00:00Z","method":"GET","scheme":"https","host":"allowed.test","port":443,"path":"/","verdict":"allow","status":200}` + "\n",
		"moved/old/bottle.yaml": "egress: {allowlist: [pypi.org]}\n", ".srt-settings.json": `{"network":{"allowedDomains":["pypi.org"]}}`,
		"src/srt/README": "", "src/other/README": "", "ws/README": "", "plain/README": "", "queue/pending/.keep": "",
	} {
		op.write(filepath.Join(op.home, name), text, 0o644)
	}
	for _, name := range []string{"bin/claude", "src/web/claude", "src/web/nightly.sh"} { // an agent whose terminal is a shell
		op.write(filepath.Join(op.home, name), stub, 0o755)
	}
	op.write(filepath.Join(op.home, "bin/nano"), "#!/bin/sh\nexit 0\n", 0o755)
	op.write(filepath.Join(op.home, "bin/docker"), "#!/bin/sh\n[ \"$1\" != context ] || echo '{\"Name\":\"default\",\"Current\":true}'\n", 0o755) // an empty engine: gc is not to meet the bottles of other tests
	op.env = append(op.env, "PATH="+strings.Join([]string{filepath.Join(base, "bin"), filepath.Join(op.home, "bin"), filepath.Join(op.home, "src/web"), searchPath()}, ":"), "EDITOR=nano", "CLAUDE_CODE_OAUTH_TOKEN=one-of-the-examples")
	for _, s := range steps {
		if s.first != nil {
			s.first(x)
		}
		if s.with != nil {
			s.with(x, s)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		cmd := x.shell(ctx, s)
		cmd.Stdin = strings.NewReader(s.in)
		out, err := cmd.CombinedOutput()
		cancel()
		if code := cmd.ProcessState.ExitCode(); code != s.code {
			t.Errorf("%s: exit %d, %v; wanted %d\n%s", s.command, code, err, s.code, out)
		}
		if s.in != "" {
			x.find("-bottle", "web")
		}
	}
}

// shell is a step's command, in its folder, with the proposal's own ID.
func (x *examplesRun) shell(ctx context.Context, s step) *exec.Cmd {
	command := strings.NewReplacer("0a1b2c3d4e5f-1", x.id, "0b27fe134f78-1", x.id, " ID", " "+x.id).Replace(s.command)
	cmd := x.op.command(ctx, "sh", "-c", command)
	cmd.Path = "/bin/sh"
	cmd.Err = nil
	cmd.Dir = filepath.Join(x.op.home, s.dir)
	return cmd
}

// toPropose is what a client sends that proposes a host.
func toPropose(host string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"sh","version":"1"}}}` + "\n" +
		fmt.Sprintf(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"egress-proxy-block","arguments":{"host":%q,"path_allowlist":["/repos"],"methods":["GET","POST"],"justification":"to build"}}}`, host) + "\n"
}

func proposes(name string) func(x *examplesRun) { return proposesTo("-bottle", name) }

// proposesTo files a proposal for a host of its own.
func proposesTo(where ...string) func(x *examplesRun) {
	return func(x *examplesRun) {
		x.n++
		r := x.op.feed(toPropose(fmt.Sprintf("proposed-%d.test", x.n)), "superviser", append([]string{"serve"}, where...)...)
		if r.code != 0 {
			x.t.Fatal(r)
		}
		x.find(where...)
		if where[1] == "project" {
			x.op.must("superviser", "list")
		}
	}
}

// find notes the ID of the proposal that waits.
func (x *examplesRun) find(where ...string) {
	x.id, _, _ = strings.Cut(x.op.must("superviser", append([]string{"list"}, where...)...), "\t")
	if x.id == "" {
		x.t.Fatalf("no proposal waits in %q", where)
	}
}

// startsProject has the command go on, as README.md's, until the test ends.
func startsProject(x *examplesRun, s step) {
	said := x.goesOn(s)
	x.t.Cleanup(func() {
		if x.t.Failed() {
			x.t.Log(said.String())
		}
	})
	await(x.t, "the bottle runs and its proxy answers", func() bool { return x.op.run("routesctl", "show", "-bottle", "project").code == 0 })
}

// untilSaid has the command go on, and waits for what it says.
func untilSaid(text string) func(x *examplesRun, s step) {
	return func(x *examplesRun, s step) {
		if x.web != nil && strings.HasPrefix(s.command, "bottlerun logs") {
			x.web.get("https://allowed.test/")
		}
		said := x.goesOn(s)
		await(x.t, s.command+" says "+text, func() bool { return strings.Contains(said.String(), text) })
	}
}

// goesOn starts a command whose standard input stays open until the test ends.
func (x *examplesRun) goesOn(s step) *lockedBuffer {
	x.t.Helper()
	cmd := x.shell(context.Background(), s)
	in, err := cmd.StdinPipe()
	must(x.t, err)
	said := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	must(x.t, cmd.Start())
	x.t.Cleanup(func() {
		in.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(limit, func() { cmd.Process.Kill() })
		cmd.Wait()
		if !late.Stop() {
			x.t.Errorf("%s does not end:\n%s", s.command, said.String())
		}
	})
	return said
}

// onScreen is a command that wants a terminal.
func onScreen(x *examplesRun, s step) {
	screen := termtest.Start(x.t, x.shell(x.t.Context(), s), 80, 24)
	screen.Wait("q quit")
	screen.Type("q")
	if code := screen.End(); code != 0 {
		x.t.Errorf("%s: exit %d", s.command, code)
	}
}
