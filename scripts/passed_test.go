package scripts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bottle/pkg/route"
)

// TestPassedWhileRunning: a route that is passed through needs a pipelock that
// was started anew, on the operator's word; the bottle lives through that.
func TestPassedWhileRunning(t *testing.T) {
	needCurl(t)
	asEach(t, passedWhileRunning)
}

func passedWhileRunning(t *testing.T, op *operator) {
	b := op.start("pass")
	config := filepath.Join(string(op.dir("pass")), "pipelock", "pipelock.yaml")
	before, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	next := op.file("next.yaml", string(encoded(t, route.Route{Host: "allowed.test"}, route.Route{Host: "new.test", TLS: route.Passthrough})))
	r := op.want(3, "nothing written, pipelock unchanged", "routesctl", "apply", "-bottle", "pass", next)
	if !strings.Contains(r.errors, "pipelock unchanged, routes unchanged") || !strings.Contains(r.errors, "'pipemirror apply -restart -passthrough new.test -bottle pass'") {
		t.Errorf("got %v", r)
	}
	if now, err := os.ReadFile(config); err != nil || string(now) != string(before) {
		t.Errorf("the configuration was changed: %v\n%s", err, now)
	}
	b.served("allowed.test")
	op.want(0, "pipelock was started anew", "pipemirror", "apply", "-restart", "-passthrough", "new.test", "-bottle", "pass")
	op.must("routesctl", "apply", "-bottle", "pass", next)
	op.write(filepath.Join(op.work, "origin.pem"), string(op.origin.ca), 0o644)
	// The agent meets the origin's own certificate.
	if out, code := b.sh("curl -sS --cacert origin.pem https://new.test/"); code != 0 || out != "hello from new.test\n" {
		t.Errorf("passed: %d %s", code, out)
	}
	if status, _, body := b.get("https://allowed.test/"); status != 200 {
		t.Errorf("scanned: %d %s", status, body)
	}
	// With nothing to be said to, it stays as it is.
	if r := op.want(0, "", "pipemirror", "apply", "-restart", "-passthrough", "new.test", "-bottle", "pass"); strings.Contains(r.errors, "anew") {
		t.Errorf("again: %v", r)
	}
	// A configuration that no pipelock would start with is not started with.
	op.env = append(op.env, `EDITOR=sed -i -e '$anonsense: 1'`)
	op.want(1, "pipelock unchanged: its old configuration was put back and confirmed", "pipemirror", "edit", "-restart", "-bottle", "pass")
	if status, _, body := b.get("https://allowed.test/"); status != 200 {
		t.Errorf("after a refused edit: %d %s", status, body)
	}
}

func encoded(t *testing.T, routes ...route.Route) []byte {
	t.Helper()
	tab, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return tab.Encode()
}
