package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleEnv makes the test binary the program bench; what that starts inherits it.
const roleEnv = "BENCH_TEST_ROLE"

// proxyProgram is an egress-proxy as 'make build' has it.
var proxyProgram string

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		main()
	}
	os.Exit(built(m))
}

func built(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bench-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	proxyProgram = filepath.Join(dir, "egress-proxy")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", proxyProgram, "bottle/egress-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// harness is the program bench with args; its folder is below dir.
func harness(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleEnv+"=bench", "TMPDIR="+dir, "EGRESS_PROXY="+proxyProgram, "NGINX="+filepath.Join(dir, "no-nginx"))
	return cmd
}

// TestRun runs the cells for a moment, in a namespace where the system allows it
// and without one.
func TestRun(t *testing.T) {
	for name, more := range map[string][]string{
		"namespace":    {"-cells", cellNames()},
		"no namespace": {"-cells", "ka,hs,hsm,ws,start", "-no-ns"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			md, js := filepath.Join(dir, "out.md"), filepath.Join(dir, "out.json")
			if err := os.WriteFile(md, []byte("above\n<!-- bench -->\nold\n<!-- /bench -->\nbelow\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append(more, "-targets", "direct,egress-proxy,nginx", "-rounds", "1", "-dur", "20ms", "-idle", "20", "-md", md, "-json", js)
			out, err := harness(t, dir, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkReport(t, js, strings.Split(more[1], ","))
			text, err := os.ReadFile(md)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Ratios to direct", "| cell | figure | direct | egress-proxy |", "left out: nginx: ", "above\n<!-- bench -->\nR", "<!-- /bench -->\nbelow\n"} {
				if !strings.Contains(string(text), want) {
					t.Errorf("the report lacks %q:\n%s", want, text)
				}
			}
			nothingLeft(t, dir)
		})
	}
}

// checkReport wants a sound sample of each target in each cell that ran.
func checkReport(t *testing.T, file string, asked []string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, s := range r.Samples {
		ran[s.Cell+" "+s.Target] = true
		if s.Error != "" {
			t.Errorf("%s of %s failed: %s", s.Cell, s.Target, s.Error)
		}
		if v, ok := s.Values["rate"]; ok && v <= 0 {
			t.Errorf("%s of %s: %v", s.Cell, s.Target, s.Values)
		}
	}
	unseen := !strings.Contains(strings.Join(r.Left, "\n"), "hsm: ")
	for _, c := range cells {
		for _, target := range []string{"direct", "egress-proxy"} {
			want := slices.Contains(asked, c.name) && (unseen || !c.unseen) && (target != "direct" || !c.process)
			if ran[c.name+" "+target] != want {
				t.Errorf("%s of %s was measured: %v; wanted %v", c.name, target, !want, want)
			}
		}
	}
}

// nothingLeft wants no file of the run, and no process that was started with
// one or with the test's proxy.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(dir, "bench-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		if words, _ := os.ReadFile(l); strings.Contains(string(words), dir) {
			t.Errorf("still runs: %q", strings.ReplaceAll(string(words), "\x00", " "))
		}
	}
}

// TestInterrupt: a run that is interrupted ends at once, and leaves nothing.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := harness(t, dir, "-targets", "direct,egress-proxy", "-cells", "sse,idle", "-dur", "10m")
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.Contains(lines.Text(), "egress-proxy is ready") {
	}
	cmd.Process.Signal(syscall.SIGINT)
	rest, _ := io.ReadAll(progress)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v; wanted exit 3\n%s", err, rest)
	}
	nothingLeft(t, dir)
}

func TestRatios(t *testing.T) {
	r := report{Base: "b"}
	add := func(target string, round int, v float64, failed string) {
		r.Samples = append(r.Samples, &sample{Cell: "ka", Target: target, Round: round, Values: values{"cpu": v}, Error: failed})
	}
	for round, v := range []float64{1, 2, 4} {
		add("b", round, v, "")
	}
	add("t", 0, 3, "")           // 3 times the base
	add("t", 1, 2, "")           // once
	add("t", 2, 8, "")           // twice
	add("u", 2, 8, "it is gone") // no figure
	add("v", 3, 8, "")           // a round that the base has not
	if got := median(r.ratios("ka", "cpu", "t")); got != 2 {
		t.Errorf("ratio %v; wanted 2", got)
	}
	for _, target := range []string{"u", "v"} {
		if got := r.ratios("ka", "cpu", target); got != nil {
			t.Errorf("ratios of %s: %v; wanted none", target, got)
		}
	}
}

func TestCPUTime(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct{ stat, sched, want time.Duration }{
		{100 * ms, 95 * ms, 95 * ms},   // they agree: the exact one
		{900 * ms, 300 * ms, 900 * ms}, // threads have ended: the complete one
	} {
		if got := (cpuTime{c.stat, c.sched}).since(cpuTime{}); got != c.want {
			t.Errorf("%v and %v are %v; wanted %v", c.stat, c.sched, got, c.want)
		}
	}
}
