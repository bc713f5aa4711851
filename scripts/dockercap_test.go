package scripts

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottle/pkg/capability"
)

// TestDockerCapability: on the screen the operator approves a route and a tool that
// the agent of a bottle in containers asks for. The route is there at once, the tool
// when the bottle is started again.
func TestDockerCapability(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	first := "FROM " + agentImage(t, d.e) + "\nENV FIRST=1\n"
	second := first + "RUN ln -s cat /bin/newtool\n"
	must(t, os.WriteFile(filepath.Join(d.home, "Dockerfile"), []byte(first), 0o644))
	text, err := os.ReadFile(d.manifest)
	must(t, err)
	must(t, os.WriteFile(d.manifest, bytes.Replace(text, []byte("image: "+agentImage(t, d.e)), []byte("dockerfile: Dockerfile"), 1), 0o644))
	t.Cleanup(func() { dockerCLI(t, "rmi", "-f", capability.Tag(d.name, second), d.object("image")) })

	b := d.berth()
	const try = "echo it works | newtool && cat /etc/bottle/current-config/Dockerfile"
	if out, code := b.sh(try); code == 0 {
		t.Errorf("before: %s", out)
	}
	host, mark := b.proposed(`{"host":"other.test","path_allowlist":["/"],"justification":"to look"}`)
	s := d.reviews(d.name)
	s.Wait(host, "new host: ")
	approves(s, "other.test", d.name)
	if out, _ := b.result(mark); !strings.Contains(out, "approved: other.test is live") {
		t.Errorf("the agent is told: %s", out)
	}
	if status, _, body := b.get("https://other.test/"); status != 200 {
		t.Errorf("the route: %d %s", status, body)
	}
	arguments, err := json.Marshal(map[string]string{"dockerfile": second, "justification": "to work"})
	must(t, err)
	mark = b.proposedBy("capability-block", string(arguments))
	s.Wait("the image", "RUN ln -s cat /bin/newtool")
	approves(s, "the image", d.name)
	quits(t, s)
	if out, _ := b.result(mark); !strings.Contains(out, "it is there when the bottle is started again, not in this session") {
		t.Errorf("the agent is told: %s", out)
	}
	if out, code := b.sh(try); code == 0 {
		t.Errorf("in the same session: %s", out)
	}
	d.sink()
	b.end()

	r := d.sail("", d.name, "--", "sh", "-c", try)
	if want := "it works\n" + second; r.code != 0 || r.out != want || !strings.Contains(r.errors, "the agent's image is "+capability.Tag(d.name, second)+", approved as proposal ") {
		t.Errorf("started again: %v; wanted %q", r, want)
	}
	d.must("superviser", "audit", "-bottle", d.name, "-verify")
}

// TestDockerBuildFails: what the build of a manifest's Dockerfile prints is anybody's,
// and of one that fails no container stays.
func TestDockerBuildFails(t *testing.T) {
	alongside(t)
	d := newDockside(t, "")
	must(t, os.WriteFile(filepath.Join(d.home, "Dockerfile"), []byte("FROM "+agentImage(t, d.e)+"\nRUN printf '\\033[31m"+d.name+"\\n'; exit 3\n"), 0o644))
	text, err := os.ReadFile(d.manifest)
	must(t, err)
	must(t, os.WriteFile(d.manifest, bytes.Replace(text, []byte("image: "+agentImage(t, d.e)), []byte("dockerfile: Dockerfile"), 1), 0o644))
	r := d.sail("", d.name, "--", "true")
	if r.code != 1 || !strings.Contains(r.errors, "it does not build: ") || !strings.Contains(r.errors, `\u{1b}[31m`+d.name) {
		t.Errorf("got %v", r)
	}
	if left, _ := dockerCLI(t, "ps", "-a", "--no-trunc", "--format", "{{.Command}}"); strings.Contains(left, d.name) {
		t.Errorf("left on the engine: %s", left)
	}
}
