package scripts

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/state"
)

// TestKilled: whichever part is killed, the traffic stops, nothing goes on
// running, and the next start of the same name works.
//
// README: When the launcher, the proxy or the superviser dies, traffic
// stops; nothing is left running, and the next start works.
func TestKilled(t *testing.T) {
	needCurl(t)
	for _, victim := range []string{"launcher", "egress-proxy", "superviser", "pipelock"} {
		t.Run(victim, func(t *testing.T) {
			asEach(t, func(t *testing.T, op *operator) { killed(t, op, victim) })
		})
	}
}

func killed(t *testing.T, op *operator, victim string) {
	b := op.start("victim")
	mark := "sleep-" + filepath.Base(filepath.Dir(op.home))
	// A child that leaves its session and its parent, and requests without end.
	b.sh("cp /bin/sleep " + mark + "; setsid ./" + mark + " 1000 >/dev/null 2>&1 &")
	b.send("while :; do curl -s -m 2 https://allowed.test/traffic; done >/dev/null")
	await(t, "the agent makes requests", func() bool { return len(op.origin.requests()) > 2 })
	if len(running(mark)) == 0 {
		t.Fatal("the agent's child does not run")
	}
	rec := b.record()
	part, ok := rec.Parts[victim]
	if victim == "launcher" {
		part, ok = rec.Launcher, true
	}
	if !ok || len(rec.Parts) != 4 {
		t.Fatalf("the record has %v", rec.Parts)
	}
	must(t, part.Signal(syscall.SIGKILL))
	code := b.exit()
	if victim != "launcher" && (code != 3 || !strings.Contains(b.notes.String(), victim+" ended (signal: killed)")) {
		t.Errorf("exit %d: %s", code, b.notes.String())
	}
	await(t, "all has ended", func() bool { return len(alive(rec)) == 0 && len(running(mark)) == 0 })
	await(t, "the origin has no connection", func() bool { return op.origin.open.Load() == 0 })
	stopped := len(op.origin.requests())
	if m := mounts(t, op.home); len(m) > 0 {
		t.Errorf("mounts are left: %q", m)
	}
	r := op.run("bottlerun", "run", "-f", op.manifest, "victim", "--", "curl", "-sS", "https://allowed.test/again")
	if r.code != 0 || r.out != "hello from allowed.test\n" {
		t.Errorf("the next start: %v", r)
	}
	after := op.origin.requests()[stopped:]
	if len(after) != 1 || !strings.Contains(after[0], " /again ") {
		t.Errorf("traffic afterwards: %q", after)
	}
	if r.took > 10*time.Second {
		t.Errorf("the next start took %v", r.took)
	}
}

// alive are the parts of a bottle that run.
func alive(rec state.Record) (names []string) {
	if rec.Launcher.Alive() {
		names = append(names, "launcher")
	}
	for name, p := range rec.Parts {
		if p.Alive() {
			names = append(names, name)
		}
	}
	return names
}

// running are the processes of this machine with mark on their command line.
func running(mark string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && bytes.HasPrefix(data, []byte("./"+mark)) {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

// mounts are those of this namespace below dir.
func mounts(t *testing.T, dir string) (list []string) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, dir) || strings.Contains(line, "/run/bottle") || strings.Contains(line, "/.host") {
			list = append(list, line)
		}
	}
	return list
}
