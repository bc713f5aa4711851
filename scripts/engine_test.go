package scripts

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
)

// A farEngine is a second docker engine on a port of loopback. Its namespaces are
// its own, so that nothing of this machine's network is in its containers.
type farEngine struct {
	host string // as in DOCKER_HOST
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// far is the one that tests share.
var (
	far      *farEngine
	starting sync.Mutex
)

// secondEngine is the DOCKER_HOST of a second engine, which all tests share: it is
// empty but for what they make.
func secondEngine(t *testing.T) string {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if far == nil {
		e := startEngine(t)
		far = e
		atEnd.Lock()
		defer atEnd.Unlock()
		atEnd.list = append(atEnd.list, e.stop)
	}
	return far.host
}

// startEngine starts one. Who calls it stops it.
func startEngine(t *testing.T) *farEngine {
	t.Helper()
	dockertest.Engine(t) // where there is none there is no second one
	if os.Geteuid() != 0 {
		t.Skip("a second engine needs root")
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp("", "bottle-engine-")
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	must(t, err)
	defer socket.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	must(t, err)
	defer log.Close()
	must(t, os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}"), 0o600))
	e := &farEngine{host: "tcp://" + ln.Addr().String(), log: log.Name(), done: make(chan struct{})}
	// The port is this namespace's: it is lent as systemd lends sockets
	// (sd_listen_fds(3)). An engine's containerd that runs already is not for it.
	e.cmd = exec.Command("sh", "-c", `set -eu
mount --make-rprivate /
mkdir -p /run/containerd; mount -t tmpfs none /run/containerd
ip link set lo up
export LISTEN_PID=$$ LISTEN_FDS=1
exec dockerd -H fd:// --config-file "$1/daemon.json" --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --bridge none --shutdown-timeout 3`, "sh", dir)
	e.cmd.Stdout, e.cmd.Stderr, e.cmd.ExtraFiles = log, log, []*os.File{socket}
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Setpgid: true}
	must(t, e.cmd.Start())
	go func() {
		e.cmd.Wait()
		os.RemoveAll(dir)
		close(e.done)
	}()
	e.awaitReady(t)
	return e
}

func (e *farEngine) awaitReady(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(2 * limit); ; time.Sleep(50 * time.Millisecond) {
		_, err := e.engine().Output(t.Context(), nil, "version", "--format", "{{json .}}")
		if err == nil {
			return
		}
		select {
		case <-e.done:
			t.Fatalf("the second engine has ended: %v", err)
		default:
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(e.log)
			e.stop()
			t.Fatalf("the second engine does not start: %v\n%s", err, tail(string(log), 20))
		}
	}
}

func (e *farEngine) engine() *docker.Engine { return docker.At("", "", e.host) }

// stop ends the engine and its containers.
func (e *farEngine) stop() {
	e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
	case <-time.After(limit):
		fmt.Fprintln(os.Stderr, "the second engine does not end at TERM")
		e.cmd.Process.Kill()
		<-e.done
	}
}

// tail is the last n lines.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// TestSecondEngine is everything that routesctl does against an engine elsewhere.
func TestSecondEngine(t *testing.T) {
	alongside(t)
	host := secondEngine(t)
	b := newBox(t, docker.At("", "", host), "DOCKER_HOST="+host)
	op := b.op
	b.served("allowed.test")
	op.must("routesctl", "apply", "-bottle", b.slug, op.file("next.yaml", table("allowed.test", "new.test")))
	if got := b.get("https://new.test/"); got != "200 - hello from new.test" {
		t.Errorf("applied: %s", got)
	}
	if r := op.feed("host: other.test", "routesctl", "add", "-bottle", b.slug); r.code != 0 {
		t.Error(r)
	}
	op.must("routesctl", "rollback", "-bottle", b.slug)
	b.served("allowed.test", "new.test")
	if out := op.must("routesctl", "list"); !strings.HasPrefix(out, b.slug+"\tdocker\t2\t") || !strings.HasSuffix(out, "\t"+host+"\t-\n") {
		t.Errorf("list: %q", out)
	}
	contexts(t, b, host)
}

// contexts: the engine by the name that docker knows it by.
func contexts(t *testing.T, b *box, host string) {
	op := b.op.with(t)
	op.env = []string{"DOCKER_CONFIG=" + t.TempDir()}
	for name, at := range map[string]string{"far": host, "off": "tcp://127.0.0.1:1"} {
		cmd := exec.Command("docker", "context", "create", name, "--docker", "host="+at)
		cmd.Env = append(os.Environ(), op.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	op.want(1, "no bottle", "routesctl", "show", "-bottle", b.slug)
	if out := op.must("routesctl", "show", "-bottle", b.slug, "-context", "far"); !strings.Contains(out, "new.test") {
		t.Errorf("show: %s", out)
	}
	op.must("routesctl", "apply", "-bottle", b.slug, "-context", "far", op.file("next.yaml", table("allowed.test")))
	r := op.run("routesctl", "list", "-all-contexts")
	if r.code != 0 || !strings.Contains(r.out, b.slug+"\tdocker\t1\t") || !strings.Contains(r.out, "\tfar\t-\n") || !strings.Contains(r.errors, "(context off) cannot be reached") {
		t.Errorf("list: %v", r)
	}
	op.want(3, "(context off) cannot be reached", "routesctl", "show", "-bottle", b.slug, "-context", "off")
	op.want(3, "context not found", "routesctl", "show", "-bottle", b.slug, "-context", "none")
	op.env = append(op.env, "DOCKER_CONTEXT=far")
	op.must("routesctl", "show", "-bottle", b.slug)
}

// TestEngineStops: what cannot be asked is told so, by name.
func TestEngineStops(t *testing.T) {
	alongside(t)
	e := startEngine(t)
	t.Cleanup(e.stop)
	b := newBox(t, e.engine(), "DOCKER_HOST="+e.host)
	b.served("allowed.test")
	e.stop()
	for _, verb := range [][]string{{"show"}, {"apply", b.op.file("t.yaml", table())}} {
		r := b.op.want(3, "("+e.host+") cannot be reached: ", "routesctl", append(verb[:1:1], append([]string{"-bottle", b.slug}, verb[1:]...)...)...)
		if !strings.Contains(r.errors, "\nhint: 'docker info' must work first\n") {
			t.Errorf("%s: %v", verb[0], r)
		}
	}
}
