package scripts

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
	"bottle/pkg/route"
)

// TestDockerRoutes is the operator's way with a bottle in containers that he finds
// by its labels alone.
func TestDockerRoutes(t *testing.T) {
	alongside(t)
	b := newBox(t, dockertest.Engine(t))
	op, of := b.op, []string{"-bottle", b.slug}
	b.served("allowed.test")
	if got := b.get("https://new.test/"); !strings.HasPrefix(got, "403 "+route.HostNotAllowed+" "+notAllowed("new.test")) {
		t.Errorf("before: %s", got)
	}
	was := op.file("was.yaml", op.must("routesctl", "show", "-bottle", b.slug))
	op.must("routesctl", "apply", "-bottle", b.slug, "-was", was, op.file("next.yaml", table("allowed.test", "new.test")))
	if got := b.get("https://new.test/"); got != "200 - hello from new.test" {
		t.Errorf("applied: %s", got)
	}
	r := op.want(1, "nothing was changed\nhint: 'routesctl show -bottle "+b.slug+"'", "routesctl", "apply", "-bottle", b.slug, "-was", was, op.file("next.yaml", table()))
	if !strings.Contains(r.errors, "changed meanwhile: + new.test") {
		t.Errorf("no longer -was: %v", r)
	}
	op.want(1, "bad.yaml:1:", "routesctl", "apply", "-bottle", b.slug, op.file("bad.yaml", "routes: {}\n"))
	if r := op.feed(`{"host":"other.test","path_allowlist":["/a"]}`, "routesctl", "add", "-bottle", b.slug); r.code != 0 {
		t.Errorf("add: %v", r)
	}
	b.served("allowed.test", "new.test", "other.test")
	if r := op.want(1, "", "routesctl", "explain", "-bottle", b.slug, "GET", "https://other.test/b"); !strings.HasPrefix(r.out, "block\t"+route.PathNotAllowed) {
		t.Errorf("explain: %v", r)
	}
	if out := op.must("routesctl", "list"); !strings.Contains(out, b.slug+"\tdocker\t3\t") {
		t.Errorf("list: %s", out)
	}
	if out := op.must("routesctl", append([]string{"apply", "-n"}, append(of, was)...)...); !strings.Contains(out, "copy\t"+b.object("egress-proxy")+":/bottle/egress-proxy/routes.yaml.next\n") {
		t.Errorf("the plan: %s", out)
	}
	rollsBack(t, b)
	edits(t, b)
	op.must("superviser", "audit", "-bottle", b.slug, "-verify")
}

// rollsBack expects a bottle of three tables.
func rollsBack(t *testing.T, b *box) {
	op := b.op
	lines := strings.Split(strings.TrimSpace(op.must("routesctl", "history", "-bottle", b.slug)), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "\t-\t-\tas it was started") || !strings.HasSuffix(lines[1], "\toperator\t+ new.test: every path") || !strings.HasSuffix(lines[2], "\toperator\t+ other.test: paths /a") {
		t.Fatalf("history: %q", lines)
	}
	first, _, _ := strings.Cut(lines[0], "\t")
	op.must("routesctl", "rollback", "-bottle", b.slug)
	b.served("allowed.test", "new.test")
	op.must("routesctl", "rollback", "-bottle", b.slug, first)
	b.served("allowed.test")
	if got := b.get("https://new.test/"); !strings.HasPrefix(got, "403 ") {
		t.Errorf("rolled back: %s", got)
	}
	op.want(1, "no generation 99", "routesctl", "rollback", "-bottle", b.slug, "99")
	op.want(2, "wanted a number", "routesctl", "rollback", "-bottle", b.slug, "x")
	if out := op.must("routesctl", "history", "-bottle", b.slug, "-json"); strings.Count(out, "\n") != 5 || !strings.Contains(out, `"reason":"rollback to generation `+first+`"`) {
		t.Errorf("history: %s", out)
	}
}

// edits expects a table of allowed.test alone.
func edits(t *testing.T, b *box) {
	op := b.op.with(t)
	editor := op.file("editor", "#!/bin/sh\necho '  - host: new.test' >>\"$1\"\n")
	must(t, os.Chmod(editor, 0o755))
	op.env = append(slices.Clone(op.env), "EDITOR="+editor, "TMPDIR="+op.home)
	r := op.run("routesctl", "edit", "-bottle", b.slug)
	if r.code != 0 || r.out != "+ new.test: every path\n" {
		t.Errorf("edit: %v", r)
	}
	b.served("allowed.test", "new.test")
	r = op.run("routesctl", "edit", "-bottle", b.slug) // the host a second time
	_, draft, kept := strings.Cut(strings.TrimSpace(r.errors), "your text is kept in ")
	if r.code != 1 || !kept || !strings.Contains(r.errors, "your text:") {
		t.Fatalf("a bad text: %v", r)
	}
	if text, err := os.ReadFile(draft); err != nil || strings.Count(string(text), "new.test") != 2 {
		t.Errorf("the text that is kept: %q, %v", text, err)
	}
	must(t, os.WriteFile(editor, []byte("#!/bin/sh\n"+base+"/bin/routesctl apply -bottle "+b.slug+" "+op.file("mean.yaml", table("other.test"))+" && echo 'routes: []' >\"$1\"\n"), 0o755))
	r = op.run("routesctl", "edit", "-bottle", b.slug)
	if r.code != 1 || !strings.Contains(r.errors, "is no longer what you were given; nothing was changed") || !strings.Contains(r.errors, "your text is kept in ") {
		t.Errorf("changed while it was edited: %v", r)
	}
	b.served("other.test")
}

// TestPodman: the same verbs with podman as the command line.
func TestPodman(t *testing.T) {
	alongside(t)
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Skip(err)
	}
	e := docker.At(podman, "", "")
	if _, err := e.Output(t.Context(), nil, "info", "--format", "{{json .}}"); err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("podman is tried as root alone")
	}
	b := newBox(t, e)
	op := b.op
	b.served("allowed.test")
	// Nothing of the proxy's can be reached; that it would try is what matters.
	status := func() string {
		out, err := e.Exec(t.Context(), b.object("egress-proxy"), nil, "/bin/world", "get", "https://new.test/", "http://127.0.0.1:9099")
		must(t, err)
		return string(out)[:3]
	}
	if got := status(); got != "403" {
		t.Errorf("before: %s", got)
	}
	op.env = append(op.env, "E2E_TOKEN=a-credential-of-e2e")
	op.must("routesctl", "add", "-bottle", b.slug, op.file("p.json", `{"host":"new.test","auth":{"scheme":"Bearer","token_ref":"E2E_TOKEN"}}`))
	b.served("allowed.test", "new.test")
	if got := status(); got != "502" {
		t.Errorf("added: %s", got)
	}
	onlyInItsFile(t, b, "a-credential-of-e2e")
	op.must("routesctl", "rollback", "-bottle", b.slug)
	b.served("allowed.test")
	if out := op.must("routesctl", "list"); !strings.HasPrefix(out, b.slug+"\tdocker\t1\t") {
		t.Errorf("list: %s", out)
	}
	op.want(3, "podman has no contexts", "routesctl", "show", "-bottle", b.slug, "-context", "far")
	b.docker("kill", b.object("egress-proxy"))
	op.want(3, "the egress-proxy has ended", "routesctl", "show", "-bottle", b.slug)
}

// TestDockerApplyTime: a change is confirmed within a second. What else the machine
// does at the time is not meant, so one of three medians must show it.
func TestDockerApplyTime(t *testing.T) {
	b := newBox(t, dockertest.Engine(t))
	for try := range 3 {
		var took []time.Duration
		for i := range 7 {
			r := b.op.run("routesctl", "apply", "-bottle", b.slug, b.op.file("t.yaml", table("allowed.test", fmt.Sprintf("n%d-%d.test", try, i))))
			if r.code != 0 {
				t.Fatal(r)
			}
			took = append(took, r.took)
		}
		slices.Sort(took)
		median := took[len(took)/2]
		t.Logf("apply to confirmed: %v, median %v, %v", took[0], median, took[len(took)-1])
		if median < time.Second {
			return
		}
	}
	t.Error("no median below a second")
}
