package scripts

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
	"bottle/pkg/mirror"
	"bottle/pkg/route"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// lockDir is a bottle's folder in pipelock's container.
const lockDir = state.Dir("/bottle")

// newLock starts the container of a bottle's pipelock alone.
func newLock(t *testing.T) *box {
	b := &box{t: t, e: dockertest.Engine(t), slug: dockertest.Name("lock")}
	b.id = b.slug + "-12345678"
	b.op = &operator{t: t, uid: os.Geteuid(), home: t.TempDir()}
	b.startLock()
	return b
}

// startLock starts a bottle's pipelock as bottlerun does: the stand-in, or the one
// that PIPELOCK names.
func (b *box) startLock() {
	t, e := b.t, b.e
	t.Helper()
	image := lockImage(t, e)
	tab, err := route.New([]route.Route{{Host: "allowed.test"}})
	must(t, err)
	start, err := mirror.Prepare(mirror.Settings{Name: b.slug, Dir: lockDir.Pipelock(), Listen: "127.0.0.1:8888", Table: tab, Intercept: true, Passthrough: []string{"llm.test"}})
	must(t, err)
	part := sandbox.Part{Next: lockDir.PipelockConfig(), Command: append([]string{"/pipelock"}, start.Args...)}
	volume := b.object("volume")
	b.clean("volume", "rm", "-f", volume)
	b.docker("volume", "create", volume)
	b.container("pipelock", append([]string{"-i", "--network", "none", "-v", volume + ":/bottle:nocopy", "--entrypoint", "/bottle/bin/bottlerun", image}, part.Args()...)...)
	self, err := os.ReadFile(filepath.Join(base, "bin", "bottlerun"))
	must(t, err)
	entries := []docker.Entry{{Name: "bin", Mode: fs.ModeDir | 0o755}, {Name: "bin/bottlerun", Mode: 0o755, Data: self},
		{Name: "pipelock", Mode: fs.ModeDir | 0o700, UID: 10001, GID: 10001}}
	for _, f := range start.Files {
		entries = append(entries, docker.Entry{Name: "pipelock/" + f.Name, Mode: f.Mode, UID: 10001, GID: 10001, Data: f.Data})
	}
	must(t, e.CopyIn(t.Context(), b.object("pipelock"), "/bottle", entries...))
	b.hold("pipelock")
	await(t, "pipelock is healthy", func() bool {
		_, err := e.Exec(t.Context(), b.object("pipelock"), nil, "/pipelock", "healthcheck", "--addr", "127.0.0.1:8888")
		return err == nil
	})
}

// hold starts a container whose standard input the test holds, as a launcher does.
func (b *box) hold(role string) {
	cmd := b.e.Command(context.Background(), "start", "-ai", b.object(role))
	in, err := cmd.StdinPipe()
	must(b.t, err)
	must(b.t, cmd.Start())
	b.t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
}

// lockImage is an image with nothing but /pipelock in it.
func lockImage(t *testing.T, e *docker.Engine) string {
	t.Helper()
	program := os.Getenv("PIPELOCK")
	if program == "" {
		program = filepath.Join(t.TempDir(), "pipelock")
		build := exec.Command("go", "build", "-o", program, "bottle/pkg/mirror/standin/testdata/pipelock")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	data, err := os.ReadFile(program)
	must(t, err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "pipelock", Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	image := dockertest.Name("bottle-test-pipelock") + ":1"
	_, err = e.Output(t.Context(), &b, "import", "-c", `ENTRYPOINT ["/pipelock"]`, "-c", "ENV STANDIN_HOSTS=system", "-", image)
	must(t, err)
	t.Cleanup(func() {
		if _, err := e.Output(context.Background(), nil, "rmi", "-f", image); err != nil {
			t.Error(err)
		}
	})
	return image
}

// config is pipelock's, as it is in the container.
func (b *box) config() string {
	b.t.Helper()
	data, err := b.e.File(b.t.Context(), b.object("pipelock"), lockDir.PipelockConfig(), 1<<20)
	must(b.t, err)
	return string(data)
}

// TestDockerLock: hosts reach a pipelock in a container, and its log confirms.
func TestDockerLock(t *testing.T) {
	b := newLock(t)
	op := b.op
	if got := op.must("pipemirror", "show", "-bottle", b.slug); got != "allowed.test\n" {
		t.Errorf("show: %q", got)
	}
	var took []time.Duration
	for i := range 5 {
		r := op.feed(fmt.Sprintf("*.h%d.test\n", i), "pipemirror", "apply", "-bottle", b.slug)
		if r.code != 0 || r.out+r.errors != "" {
			t.Fatalf("apply: %v", r)
		}
		took = append(took, r.took)
	}
	slices.Sort(took)
	t.Logf("from apply to confirmed: median %v, all %v", took[len(took)/2], took)
	for _, want := range []string{"- \"*.h4.test\"\n", "- \"h4.test\"\n", "mode: strict # the only mode"} {
		if !strings.Contains(b.config(), want) {
			t.Errorf("no %q in\n%s", want, b.config())
		}
	}
	t.Run("at once", func(t *testing.T) { b.lockAtOnce(t) })
	t.Run("refused", func(t *testing.T) { b.lockRefuses(t) })
	t.Run("restart", func(t *testing.T) { b.lockRestarts(t) })
	b.docker("kill", b.object("pipelock"))
	r := op.feed("late.test\n", "pipemirror", "apply", "-bottle", b.slug)
	if r.code != 3 || !strings.Contains(r.errors, "not running") {
		t.Errorf("killed: %v", r)
	}
}

// TestDockerAdd: a route behind pipelock takes few runs of docker's command line,
// each of which takes its time.
func TestDockerAdd(t *testing.T) {
	alongside(t)
	b := newBox(t, dockertest.Engine(t))
	b.startLock()
	calls := filepath.Join(t.TempDir(), "calls")
	real, err := exec.LookPath("docker")
	must(t, err)
	counting := b.op.file("docker", "#!/bin/sh\necho $1 >>"+calls+"\nexec "+real+" \"$@\"\n")
	must(t, os.Chmod(counting, 0o755))
	op := b.op.with(t)
	op.env = append(slices.Clone(op.env), "BOTTLE_DOCKER="+counting)
	for _, try := range []struct{ host, calls string }{
		{"new.test", "inspect exec inspect exec logs logs"},
		{"allowed.test", "inspect exec"}, // which it has, and pipelock too
	} {
		must(t, os.WriteFile(calls, nil, 0o600))
		if r := op.feed("host: "+try.host, "routesctl", "add", "-bottle", b.slug); r.code != 0 {
			t.Fatal(r)
		}
		made, err := os.ReadFile(calls)
		must(t, err)
		if got := strings.Join(strings.Fields(string(made)), " "); got != try.calls {
			t.Errorf("%s: %s; wanted %s", try.host, got, try.calls)
		}
	}
	b.served("allowed.test", "new.test")
	for i, ask := range []string{"write pipelock.yaml.next ", askSignal} { // pipemirror is killed
		add := []string{"add", "-bottle", b.slug}
		r := meddle{ask: ask, script: "kill -9 $PPID; exit 1"}.operator(b).feed(fmt.Sprintf("host: k%d.test", i), "routesctl", add...)
		if r.code != 3 || !strings.Contains(r.errors, "pipelock unknown, routes unchanged\nhint: fix it with 'pipemirror edit -bottle "+b.slug+"', then retry") {
			t.Errorf("%s: %v", ask, r)
		}
		if r := b.op.feed(fmt.Sprintf("host: k%d.test", i), "routesctl", add...); r.code != 0 || !strings.Contains(b.config(), fmt.Sprintf("- \"k%d.test\"\n", i)) {
			t.Errorf("after %s: %v\n%s", ask, r, b.config())
		}
	}
	b.served("allowed.test", "new.test", "k0.test", "k1.test")
	var took []time.Duration
	for i := range 5 {
		r := b.op.feed(fmt.Sprintf("host: n%d.test", i), "routesctl", "add", "-bottle", b.slug)
		if r.code != 0 || !strings.Contains(b.config(), fmt.Sprintf("- \"n%d.test\"\n", i)) {
			t.Fatalf("%v\n%s", r, b.config())
		}
		took = append(took, r.took)
	}
	slices.Sort(took)
	t.Logf("from add to confirmed behind pipelock: median %v, all %v", took[len(took)/2], took)
}

// lockAtOnce: of changes at the same time none is lost.
func (b *box) lockAtOnce(t *testing.T) {
	const n = 3
	done := make(chan error, n)
	for i := range n {
		go func() {
			r, err := b.op.try(fmt.Sprintf("once%d.test\n", i), "pipemirror", "apply", "-bottle", b.slug)
			if err == nil && r.code != 0 {
				err = fmt.Errorf("%v", r)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := strings.Count(b.config(), "- \"once"); got != n {
		t.Errorf("%d of %d hosts are there", got, n)
	}
}

// lockRefuses: the old file is back, with what was said of the new one.
func (b *box) lockRefuses(t *testing.T) {
	op, before := b.op.with(t), b.config()
	for edit, want := range map[string]string{
		"$anonsense: 1":               "nonsense",
		"$atrusted_domains: [x.test]": "-restart -bottle " + b.slug,
	} {
		op.env = append(op.env, "EDITOR=sed -i -e '"+edit+"'")
		r := op.want(1, "pipelock unchanged: its old configuration was put back and confirmed", "pipemirror", "edit", "-bottle", b.slug)
		if !strings.Contains(r.errors, want) || b.config() != before {
			t.Errorf("%s: %v\n%s", edit, r, b.config())
		}
	}
}

// lockRestarts: what needs a start gets one when it is asked for, and only then.
func (b *box) lockRestarts(t *testing.T) {
	op, before := b.op.with(t), b.config()
	passed := []string{"apply", "-passthrough", "pass.test", "-bottle", b.slug}
	r := op.want(1, "nothing written, pipelock unchanged", "pipemirror", passed...)
	if !strings.Contains(r.errors, "'pipemirror apply -restart -passthrough pass.test -bottle "+b.slug+"'") || b.config() != before {
		t.Errorf("without: %v", r)
	}
	op.want(0, "pipelock was started anew", "pipemirror", append(passed, "-restart")...)
	if !strings.Contains(b.config(), "    - \"pass.test\"\n") {
		t.Errorf("with: %s", b.config())
	}
	if r := op.want(0, "", "pipemirror", passed...); r.errors != "" {
		t.Errorf("afterwards: %v", r)
	}
	if r := op.feed("after.test\n", "pipemirror", "apply", "-bottle", b.slug); r.code != 0 {
		t.Errorf("a host afterwards: %v", r)
	}
}
