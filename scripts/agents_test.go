package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// agentsKeys are the operator's credentials, by the variables that init names.
var agentsKeys = map[string]string{"claude": "CLAUDE_CODE_OAUTH_TOKEN", "codex": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}

// apiRequests are what the origin is sent by each.
var apiRequests = map[string]string{
	"claude": "GET api.anthropic.com /v1/models Bearer the-real-one",
	"codex":  "GET api.openai.com /v1/models Bearer the-real-one",
	"gemini": "GET generativelanguage.googleapis.com /v1beta/models the-real-one",
}

// TestAgents: nothing but init and run, for agents that behave as the known ones
// do: none asks its user anything, each has its tools, and its credential only the
// proxy has. The lines that the test adds say where its origin is.
func TestAgents(t *testing.T) {
	for name, variable := range agentsKeys {
		t.Run(name, func(t *testing.T) {
			op := asSelf(t)
			program, err := os.ReadFile(worldProgram(t))
			must(t, err)
			op.write(filepath.Join(op.home, "bin", name), string(program), 0o755)
			op.env = append(op.env, "PATH="+filepath.Join(op.home, "bin")+":"+searchPath(), variable+"=the-real-one")
			op.must("bottlerun", "init", "-dir", op.work)
			op.manifest = filepath.Join(op.work, "bottle.yaml")
			op.amend("upstream_ca: ../../origin-ca.pem\n  allow_private: [127.0.0.0/8]", "pipelock: off", "pipelock: {program: "+filepath.Join(op.home, "pipelock")+"}")
			b := op.startWith("agents")
			defer b.end()
			talk(t, op, b, name)
			if got := op.origin.requests(); len(got) != 2 || got[0] != apiRequests[name] || strings.TrimSpace(got[1]) != "GET new.test /" {
				t.Errorf("the origin was sent %q", got)
			}
		})
	}
}

// TestDockerAgent is the same in containers, of an image with a user of its own.
func TestDockerAgent(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	program, err := os.ReadFile(worldProgram(t))
	must(t, err)
	image := d.variant("USER build", "bin/claude", "="+string(program))
	d.env = append(d.env, agentsKeys["claude"]+"=the-real-one")
	if out := d.must("bottlerun", "init", "-dir", d.work, "-image", image); !strings.Contains(out, "\nimage\t"+image+"\nagent\tclaude /bin/claude\n") {
		t.Errorf("init says %s", out)
	}
	d.manifest = filepath.Join(d.work, "bottle.yaml")
	d.amend("upstream_ca: ../world.pem\n  allow_private: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]", "name: project", "name: "+d.name)
	b := d.startWith(d.name)
	defer b.end()
	d.world()
	defer d.sink()
	talk(t, d.operator, b, "claude")
	d.got("api.anthropic.com got Bearer the-real-one")
	if out, _ := b.sh("id -u; echo $HOME"); out != "4321\n/home/build\n" {
		t.Errorf("who and where: %s", out)
	}
}

// TestDockerInit: what init finds in an image, and what it refuses.
func TestDockerInit(t *testing.T) {
	d := newDockside(t, "")
	if out := d.must("bottlerun", "init", "-dir", d.work, "-image", agentImage(t, d.e)); !strings.Contains(out, "\nagent\tthe image's command /bin/sh -c echo of the image; id -u\n") {
		t.Errorf("an image with a command: %s", out)
	}
	name := filepath.Join(d.work, "bottle.yaml")
	text, err := os.ReadFile(name)
	must(t, err)
	if strings.Contains(string(text), "\ncommand:") || !strings.Contains(string(text), "\nbackend: docker\n") {
		t.Errorf("its manifest:\n%s", text)
	}
	must(t, os.Remove(name))
	d.want(1, "no-such:1 is not on", "bottlerun", "init", "-dir", d.work, "-image", "no-such:1")
	d.want(1, "has a volume at", "bottlerun", "init", "-dir", d.work, "-image", d.variant("VOLUME /run/bottle"))
	if _, err := os.Stat(name); err == nil {
		t.Error("a manifest was written")
	}
	if out, _ := dockerCLI(t, "ps", "-a", "--filter", "label=bottle.name=project", "--format", "{{.Names}}"); strings.Contains(out, "project-look") {
		t.Errorf("left: %s", out)
	}
}

// amend adds settings of egress_proxy to the manifest, and replaces texts in it.
func (op *operator) amend(settings string, replace ...string) {
	op.t.Helper()
	text, err := os.ReadFile(op.manifest)
	must(op.t, err)
	op.write(op.manifest, strings.NewReplacer(append(replace, "egress_proxy:\n", "egress_proxy:\n  "+settings+"\n")...).Replace(string(text)), 0o644)
}

// talk runs the agent by its name, and approves what it proposes.
func talk(t *testing.T, op *operator, b *bottle, name string) {
	t.Helper()
	mark := b.send(name)
	var id string
	await(t, "a proposal of "+name, func() bool {
		id, _, _ = strings.Cut(op.must("superviser", "list", "-bottle", b.name), "\t")
		return id != ""
	})
	op.must("superviser", "show", "-bottle", b.name, id)
	op.must("superviser", "approve", "-bottle", b.name, id)
	if out, code := b.result(mark); code != 0 || !strings.HasPrefix(out, "approved: new.test is live") || !strings.HasSuffix(out, "\n200 hello from new.test\n") {
		t.Errorf("the agent: exit %d\n%s", code, out)
	}
	if env, _ := b.sh("env; cat ~/.claude.json ~/.codex/* ~/.gemini/* 2>/dev/null"); strings.Contains(env, "the-real-one") || !strings.Contains(env, "placeholder-replaced-by-egress-proxy") {
		t.Errorf("what the agent has: %s", env)
	}
}
