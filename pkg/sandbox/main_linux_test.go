package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The test binary is launcher, stages and agent in one.
func TestMain(m *testing.M) {
	Stages()
	// The race detector sleeps for a second at the end of a process.
	stageEnv = []string{"GORACE=atexit_sleep_ms=0"}
	if len(os.Args) > 2 && os.Args[1] == "test-launcher" {
		os.Exit(testLauncher(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 3 && os.Args[1] == "test-second" {
		os.Exit(testSecond(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "test-agent" {
		agent, ok := testAgents[os.Args[2]]
		if !ok {
			fmt.Fprintf(os.Stderr, "no test agent %q\n", os.Args[2])
			os.Exit(99)
		}
		os.Exit(agent(os.Args[3:]))
	}
	os.Exit(m.Run())
}

// testAgents are what the tests run inside, by name.
var testAgents = map[string]func(args []string) int{
	"answer":    answer,
	"connect":   connect,
	"dial":      dial,
	"hunter":    hunter,
	"neighbour": neighbour,
	"probe":     probe,
}

// testAgent is the command line of one of them.
func testAgent(name string, args ...string) []string {
	return append([]string{BinDir + "/agent", "test-agent", name}, args...)
}

// needsSandbox skips where namespaces do not work.
func needsSandbox(t *testing.T) {
	t.Helper()
	if err := Probe(); err != nil {
		t.Skip(err)
	}
}

// newWorkspace is a folder fit to be one. Not below the home or TempDir's
// parents with odd rights: the agent's identity has to reach nothing of it.
func newWorkspace(t *testing.T, pol Policy) *Workspace {
	t.Helper()
	dir := t.TempDir()
	return openWorkspace(t, dir, pol)
}

func openWorkspace(t *testing.T, dir string, pol Policy) *Workspace {
	t.Helper()
	w, err := OpenWorkspace(dir, pol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// config is one that runs args in w with the test binary at hand.
func config(t *testing.T, w *Workspace, args ...string) Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		t.Fatal(err)
	}
	return Config{
		Name: "test", Args: args, Workspace: w,
		Env:      []string{"PATH=" + defaultPath, "HOME=" + Home, "LANG=C"},
		Programs: map[string]string{"agent": self},
		TmpBytes: 256 << 20,
	}
}

// run runs cfg to its end.
func run(t *testing.T, cfg Config) (code int, stdout, stderr string) {
	t.Helper()
	var out, errw bytes.Buffer
	cfg.Stdout, cfg.Stderr = &out, &errw
	sb, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Go(Check{}); err != nil {
		sb.Abandon()
		t.Fatal(err)
	}
	timer := time.AfterFunc(60*time.Second, sb.Kill)
	defer timer.Stop()
	code, err = sb.Wait()
	if err != nil {
		t.Fatalf("%v; stderr: %s", err, errw.String())
	}
	return code, out.String(), errw.String()
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("find", dir, "-printf", "%P %m %s\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
