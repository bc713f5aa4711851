package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var someLimits = Limits{Memory: 64 << 20, Pids: 100, CPUs: 0.5}

// TestGroupHolds: where there is a way to a control group, memory is bounded by it,
// and nothing is left.
func TestGroupHolds(t *testing.T) {
	needsSandbox(t)
	g, err := FindGroup("test", someLimits, os.Getenv)
	if err != nil {
		t.Skip(err)
	}
	cfg := config(t, newWorkspace(t, Policy{}), "sh", "-c", "cat /proc/self/cgroup; head -c 300m /dev/zero | tail; echo $?")
	cfg.Group = g
	sb, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := groupOf(os.Getpid()), groupOf(sb.Pid())
	if mine == theirs || !strings.HasPrefix(filepath.Base(theirs), groupPrefix) {
		t.Errorf("we are in %s, the sandbox in %s", mine, theirs)
	}
	sb.Abandon()
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if g, err = FindGroup("test", someLimits, os.Getenv); err != nil {
		t.Fatal(err)
	}
	cfg.Group = g
	start := time.Now()
	code, out, errs := run(t, cfg)
	if code != 0 || !strings.HasPrefix(out, "0::/\n") || !strings.HasSuffix(out, "137\n") {
		t.Errorf("code %d after %v: %s%s", code, time.Since(start), out, errs)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.dir); g.scope == nil && !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", g.dir, err)
	}
}

// TestGroupFiles: what is written, in a folder that stands for a group.
func TestGroupFiles(t *testing.T) {
	dir := t.TempDir()
	make := func(files ...string) *Group {
		g := &Group{limits: someLimits, dir: filepath.Join(dir, "g"+strings.Join(files, ""))}
		for _, f := range files {
			lay(t, g.dir, map[string]string{f: ""})
		}
		return g
	}
	g := make("memory.max", "memory.swap.max", "pids.max", "cpu.max")
	if err := g.bound(); err != nil || len(g.Lacking()) != 0 {
		t.Errorf("%v, lacking %v", err, g.Lacking())
	}
	for name, want := range map[string]string{"memory.max": "67108864", "memory.swap.max": "0", "pids.max": "132", "cpu.max": "50000 100000"} {
		if got, err := os.ReadFile(filepath.Join(g.dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	g = make("memory.max") // no swap is accounted, no processor handed down
	if err := g.bound(); err != nil || !slices.Equal(g.Lacking(), []string{"cpus"}) {
		t.Errorf("%v, lacking %v", err, g.Lacking())
	}
	g = make("cpu.max")
	if err := g.bound(); err == nil {
		t.Error("no memory.max, and no error")
	}
	if _, err := os.Stat(filepath.Join(g.dir, "memory.max")); err == nil {
		t.Error("a file that is no group's was made")
	}
	lay(t, g.dir, map[string]string{"memory.events": "low 0\noom 3\noom_kill 2\n"})
	var err error
	if g.events, err = os.Open(filepath.Join(g.dir, "memory.events")); err != nil || g.killed() != 2 {
		t.Errorf("%d killed, %v", g.killed(), err)
	}
}

// TestCheckScope: what systemd has made of the limits is looked at.
func TestCheckScope(t *testing.T) {
	for _, c := range []struct {
		memory, cpu, want string
	}{
		{"67108864\n", "50000 100000\n", ""}, {"67106816\n", "50000 100000\n", ""},
		{"max\n", "50000 100000\n", "memory.max"}, {"33554432\n", "50000 100000\n", "memory.max"}, {"67108864\n", "max 100000\n", "cpu.max"},
	} {
		g := &Group{limits: someLimits, dir: t.TempDir(), scope: &scope{unit: "x.scope"}}
		lay(t, g.dir, map[string]string{"memory.max": c.memory, "cpu.max": c.cpu})
		if err := g.checkScope(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q: %v", c.memory, c.cpu, err)
		}
	}
}

// TestParentGroup: the nearest one above our own that hands memory down and that we
// may write in.
func TestParentGroup(t *testing.T) {
	dir := t.TempDir()
	for group, hands := range map[string]string{"": "memory pids", "a": "memory cpu pids", "a/b": "memory", "a/b/c": "memory", "x": "cpu", "x/y": ""} {
		lay(t, filepath.Join(dir, group), map[string]string{"cgroup.subtree_control": hands + "\n", "cgroup.procs": "", "cgroup.type": "domain\n"})
	}
	if err := os.Remove(filepath.Join(dir, "cgroup.type")); err != nil {
		t.Fatal(err)
	}
	for own, want := range map[string]string{"/a/b/c": "a/b", "/a/b": "a", "/a": "", "/": "", "/x/y": ""} {
		got, err := hierarchy{mount: dir, own: own}.parent(someLimits)
		if err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v; want %s", own, got, err, want)
		}
	}
	write(t, filepath.Join(dir, "cgroup.type"), "domain\n") // the top of a container's
	if got, err := (hierarchy{mount: dir, own: "/"}).parent(someLimits); err == nil {
		t.Errorf("below our own: %s", got)
	}
}

func TestScopeArgs(t *testing.T) {
	s := &scope{unit: "bottle-web-1.scope", bus: "--user"}
	got := strings.Join(s.args(42, someLimits), " ")
	for _, want := range []string{"--user --quiet call ", " StartTransientUnit ssa(sv)a(sa(sv)) bottle-web-1.scope fail 8 ", " PIDs au 1 42 ", " MemoryMax t 67108864 ",
		" MemorySwapMax t 0 ", " TasksMax t 132 ", " CPUQuotaPerSecUSec t 500000 0", " Delegate b true "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
}

// TestRemoveGroup: only what is a bottle's, and no folder with anything in it.
func TestRemoveGroup(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "other"))
	mkdir(t, filepath.Join(dir, "bottle-x-1"))
	for path, ok := range map[string]bool{"": true, filepath.Join(dir, "other"): false, filepath.Join(dir, "bottle-x-1"): true, filepath.Join(dir, "bottle-gone-1"): true} {
		if err := RemoveGroup(path); (err == nil) != ok {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err != nil {
		t.Error(err)
	}
}
