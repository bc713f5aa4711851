package mirror

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/mirror/standin"
	"bottle/pkg/state"
)

// TestMain makes this binary the program pipelock when it is started under that
// name. PIPELOCK names a real one to test with instead.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "pipelock" {
		os.Exit(standin.Main())
	}
	os.Exit(m.Run())
}

const baseConfig = `# mine
version: 1
mode: strict
api_allowlist:
  - "a.test" # kept
fetch_proxy:
  listen: "127.0.0.1:8888"
  monitoring: {max_requests_per_minute: 6000}
forward_proxy: {enabled: true}
sentry: {enabled: false}
`

type running struct {
	Pipelock
	Local
	addr string
	cmd  *exec.Cmd
}

// start runs a pipelock with the configuration and waits for its /health.
func start(t *testing.T, config string) *running {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o700); err != nil {
		t.Fatal(err)
	}
	path, addr := filepath.Join(dir, "etc", "pipelock.yaml"), freeAddr(t)
	write(t, path, config)
	return begin(t, filepath.Dir(path), addr, &exec.Cmd{Args: []string{"pipelock", "run", "-c", path, "--listen", addr}})
}

// begin runs cmd as a pipelock whose files are in dir and waits for its /health.
func begin(t *testing.T, dir, addr string, cmd *exec.Cmd) *running {
	t.Helper()
	home := t.TempDir()
	r := &running{Local: Local{Config: filepath.Join(dir, ConfigFile), Log: filepath.Join(home, "log")}, addr: addr, cmd: cmd}
	log, err := os.OpenFile(r.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Path, cmd.Stdout, cmd.Stderr = "/proc/self/exe", log, log
	cmd.Env = append(cmd.Env, "HOME="+home, "STANDIN_HOSTS=a.test=127.0.0.1,b.test=127.0.0.1")
	if real := os.Getenv("PIPELOCK"); real != "" {
		cmd.Path = real
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.cmd.Wait()
	})
	if r.Process, err = state.PartOf(r.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	r.Pipelock = Pipelock{Place: r.Local, Wait: 8 * time.Second}
	r.waitHealthy(t)
	return r
}

func (r *running) waitHealthy(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get("http://" + r.addr + "/health")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(r.Log)
			t.Fatalf("pipelock does not answer: %v\n%s", err, log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// allows asks the running pipelock, by a CONNECT to an address: no name is
// looked up and nothing listens there.
func (r *running) allows(t *testing.T, host string) bool {
	t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s:9 HTTP/1.1\r\nHost: %s:9\r\n\r\n", host, host)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body [200]byte
	n, _ := resp.Body.Read(body[:])
	return !strings.Contains(string(body[:n]), "domain not in allowlist")
}

func TestApply(t *testing.T) {
	r := start(t, baseConfig)
	change, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"127.0.0.1", "a.test"}})
	if err != nil || len(change.Added) != 1 || change.Added[0] != "127.0.0.1" {
		t.Fatalf("got %+v, %v", change, err)
	}
	if !r.allows(t, "127.0.0.1") || r.allows(t, "127.0.0.2") {
		t.Error("the running pipelock does not do what was confirmed")
	}
	want := strings.Replace(baseConfig, "# kept\n", "# kept\n  - \"127.0.0.1\"\n", 1)
	if got := read(t, r.Config); got != want {
		t.Errorf("file: got\n%s", got)
	}
	if fi, err := os.Stat(r.Config); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("mode: got %v, %v; want 0640 as before", fi.Mode(), err)
	}

	log := read(t, r.Log)
	if change, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"127.0.0.1"}}); err != nil || len(change.Added) != 0 {
		t.Errorf("again: got %+v, %v", change, err)
	}
	if read(t, r.Log) != log {
		t.Error("nothing to do, and pipelock was bothered")
	}

	change, err = r.Pipelock.Apply(t.Context(), Wish{Names: []string{"b.test"}, Replace: true})
	if err != nil || strings.Join(change.Removed, " ") != "a.test 127.0.0.1" {
		t.Errorf("replace: got %+v, %v", change, err)
	}
	if r.allows(t, "127.0.0.1") {
		t.Error("replaced, and still allowed")
	}
}

// TestInstallRefused: pipelock says no, the old file comes back.
func TestInstallRefused(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"weaker":   {baseConfig + "trusted_domains: [x.test]\n", "trusted_domains"},
		"not YAML": {baseConfig + " - x\n", "pipelock refused: parsing config"},
		"unknown":  {baseConfig + "no_such_key: 1\n", "no_such_key"},
		"empty":    {"", "downgrade from strict"},
	}
	for name, c := range cases {
		r := start(t, baseConfig)
		_, err := r.Pipelock.Install(t.Context(), []byte(baseConfig), []byte(c.text), false)
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "pipelock unchanged: its old configuration was put back and confirmed") {
			t.Errorf("%s: got %v", name, err)
		}
		if read(t, r.Config) != baseConfig {
			t.Errorf("%s: the old file is not back", name)
		}
	}
}

func TestInstallOverAnotherChange(t *testing.T) {
	r := start(t, baseConfig)
	var refused *Refused
	if _, err := r.Pipelock.Install(t.Context(), []byte("something else"), []byte(baseConfig), false); !errors.As(err, &refused) || read(t, r.Config) != baseConfig {
		t.Errorf("got %v", err)
	}
}

// TestApplyToWhatWasLookedAt: a configuration that has changed since is refused,
// also where the same hosts would be added.
func TestApplyToWhatWasLookedAt(t *testing.T) {
	r := start(t, baseConfig)
	wish := Wish{Names: []string{"b.test"}}
	plan, err := r.Pipelock.Plan(t.Context(), wish)
	if err != nil || plan.Was == "" {
		t.Fatalf("got %+v, %v", plan, err)
	}
	wish.Was = plan.Was
	edited := strings.Replace(baseConfig, "# mine", "# mine, edited", 1)
	write(t, r.Config, edited)
	var refused *Refused
	if _, err := r.Pipelock.Apply(t.Context(), wish); !errors.As(err, &refused) || !strings.Contains(err.Error(), "no longer what was looked at") || read(t, r.Config) != edited {
		t.Errorf("changed: got %v\n%s", err, read(t, r.Config))
	}
	write(t, r.Config, baseConfig)
	if change, err := r.Pipelock.Apply(t.Context(), wish); err != nil || strings.Join(change.Added, " ") != "b.test" {
		t.Errorf("as it was: got %+v, %v", change, err)
	}
}

// TestApplyKeepsAwayFromARefusedChange: the operator's own edit, which pipelock
// refused, is not written together with a host.
func TestApplyKeepsAwayFromARefusedChange(t *testing.T) {
	r := start(t, baseConfig)
	if _, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"b.test"}}); err != nil {
		t.Fatal(err)
	}
	edited := read(t, r.Config) + "trusted_domains: [x.test]\n"
	write(t, r.Config, edited)
	_, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"c.test"}})
	var refused *Refused
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "holds this change already; nothing written") || read(t, r.Config) != edited {
		t.Errorf("got %v", err)
	}
}

// TestApplyRepairs: a tool killed after writing left a file that pipelock has
// not taken up; the next apply has it taken up though every host is in it.
func TestApplyRepairs(t *testing.T) {
	r := start(t, baseConfig)
	write(t, r.Config, strings.Replace(baseConfig, "a.test", "127.0.0.1", 1))
	if _, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if !r.allows(t, "127.0.0.1") {
		t.Error("applied, and not allowed")
	}
}

// TestSilent: a pipelock that says nothing is not taken for one that agreed.
func TestSilent(t *testing.T) {
	r := start(t, baseConfig)
	r.Wait = 300 * time.Millisecond
	stopped := exec.Command("sh", "-c", fmt.Sprintf("kill -STOP %d", r.Process.Pid))
	if err := stopped.Run(); err != nil {
		t.Fatal(err)
	}
	_, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"b.test"}})
	if !errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "pipelock unknown: its old configuration was put back") || read(t, r.Config) != baseConfig {
		t.Errorf("got %v", err)
	}
}

func TestDead(t *testing.T) {
	r := start(t, baseConfig)
	r.cmd.Process.Kill()
	r.cmd.Wait()
	if _, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{"b.test"}}); !errors.Is(err, state.ErrGone) || read(t, r.Config) != baseConfig {
		t.Errorf("got %v", err)
	}
}

func TestInterruptedPutsBack(t *testing.T) {
	r := start(t, baseConfig)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Pipelock.Apply(ctx, Wish{Names: []string{"b.test"}})
	if err == nil {
		return // it was confirmed before the interrupt was looked at
	}
	if !errors.Is(err, context.Canceled) || read(t, r.Config) != baseConfig || !strings.Contains(err.Error(), "put back and confirmed") {
		t.Errorf("got %v", err)
	}
}

// TestAtOnce: none of several edits is lost.
func TestAtOnce(t *testing.T) {
	r := start(t, baseConfig)
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			if _, err := r.Pipelock.Apply(t.Context(), Wish{Names: []string{fmt.Sprintf("127.0.0.%d", 10+i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 5 {
		if host := fmt.Sprintf("127.0.0.%d", 10+i); !r.allows(t, host) {
			t.Errorf("%s was lost", host)
		}
	}
}

func TestThroughASymlink(t *testing.T) {
	r := start(t, baseConfig)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(r.Config, link); err != nil {
		t.Fatal(err)
	}
	at := r.Local
	at.Config = link
	if _, err := (Pipelock{Place: at, Wait: r.Wait}).Apply(t.Context(), Wish{Names: []string{"b.test"}}); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 || !strings.Contains(read(t, r.Config), "b.test") {
		t.Errorf("link: %v, %v", fi.Mode(), err)
	}
}

func TestParseLine(t *testing.T) {
	cases := map[string]line{
		`{"component":"pipelock","event":"startup","config_hash":"ab"}`:                                                {live: "ab"},
		`{"component":"pipelock","event":"config_reload","status":"success","config_hash":"ab"}`:                       {live: "ab"},
		`{"component":"pipelock","event":"error","method":"CONFIG_RELOAD","error":"rejected: security downgrade"}`:     {refused: "rejected: security downgrade"},
		"pipelock: config reload failed: parsing":                                                                      {refused: "parsing"},
		"WARNING: config reload: a - b":                                                                                {warning: "a - b"},
		`{"component":"pipelock","event":"error","method":"CONFIG_RELOAD","error":"TLS cert cache reload failed: x"}`:  {},
		`{"component":"pipelock","event":"blocked","url":"http://x/{\"event\":\"config_reload\"}","config_hash":"ab"}`: {},
		`{"event":"config_reload","status":"success","config_hash":"ab"}`:                                              {},
		`x{"component":"pipelock","event":"startup","config_hash":"ab"}`:                                               {},
		`{"component":"pipelock","event":"config_reload","status":"failure","config_hash":"ab"}`:                       {},
		`{"component":"pipelock","event":"blocked","reason":"pipelock: config reload failed: no","target":"x"}`:        {},
	}
	for in, want := range cases {
		if got, ok := parseLine([]byte(in)); got != want || ok != (want != line{}) {
			t.Errorf("%s: got %+v, %v; want %+v", in, got, ok, want)
		}
	}
}
