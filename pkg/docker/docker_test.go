package docker_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
)

// TestEngine is everything with one container of the real engine.
func TestEngine(t *testing.T) {
	e := dockertest.Engine(t)
	image := dockertest.Image(t, e)
	c := dockertest.Name("bottle-docker-test")
	label := "bottle.test=" + c
	dockertest.Container(t, e, image, c, "--label", label, "--label", `bottle.command=["a,b","c=d"]`)
	t.Run("containers", func(t *testing.T) { containers(t, e, c, label) })
	t.Run("copy", func(t *testing.T) { copies(t, e, c) })
	t.Run("copy out", func(t *testing.T) { refusesLinks(t, e, c) })
	t.Run("exec", func(t *testing.T) { execs(t, e, c) })
	t.Run("session", func(t *testing.T) { sessions(t, e, c) })
	t.Run("signal", func(t *testing.T) { signals(t, e, c) })
	t.Run("missing", func(t *testing.T) { missing(t, e, c) })
}

func containers(t *testing.T, e *docker.Engine, name, label string) {
	list, err := e.Containers(t.Context(), label, "bottle.command")
	if err != nil || len(list) != 1 {
		t.Fatalf("got %v, %v", list, err)
	}
	c := list[0]
	if c.Name != name || !c.Running() || len(c.ID) != 64 || c.Labels["bottle.command"] != `["a,b","c=d"]` || c.Started.IsZero() {
		t.Errorf("got %+v", c)
	}
	if one, err := e.Inspect(t.Context(), name); err != nil || one.ID != c.ID {
		t.Errorf("inspect: %+v, %v", one, err)
	}
	if list, err := e.Named(t.Context(), name+"-no", name, name+"-neither"); err != nil || len(list) != 1 || list[0].ID != c.ID {
		t.Errorf("named: %+v, %v", list, err)
	}
	if list, err := e.Containers(t.Context(), label, "bottle.test=other"); err != nil || len(list) != 0 {
		t.Errorf("another label: %v, %v", list, err)
	}
}

// copies: owner and mode are those of the entry, not of this side.
func copies(t *testing.T, e *docker.Engine, c string) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	in := []docker.Entry{
		{Name: "f", Mode: fs.ModeDir | 0o750, UID: 10001, GID: 10001},
		{Name: "f/table", Mode: 0o644, UID: 10001, GID: 10001, Data: []byte("routes: []\n")},
		{Name: "f/token", Mode: 0o400, UID: 10001, GID: 10002, Data: []byte("secret")},
		{Name: "f/empty", Mode: 0o600},
	}
	if err := e.CopyIn(t.Context(), c, "/v", in...); err != nil {
		t.Fatal(err)
	}
	out, err := e.CopyOut(t.Context(), c, "/v/f", 100)
	if err != nil || len(out) != len(in) {
		t.Fatalf("got %v, %v", out, err)
	}
	got := map[string]docker.Entry{}
	for _, en := range out {
		got[en.Name] = en
	}
	for _, w := range in {
		if g := got[w.Name]; g.Mode != w.Mode || !e.Podman() && (g.UID != w.UID || g.GID != w.GID) || string(g.Data) != string(w.Data) {
			t.Errorf("got %+v; wanted %+v", g, w)
		}
	}
	if out, err := e.CopyOut(t.Context(), c, "/v", 100); err != nil || len(out) != len(in)+1 || out[0].Name != "v" || !strings.HasPrefix(out[1].Name, "v/f") {
		t.Errorf("a volume: %v, %v", out, err)
	}
	if data, err := e.File(t.Context(), c, "/v/f/token", 6); err != nil || string(data) != "secret" {
		t.Errorf("file: %q, %v", data, err)
	}
	if _, err := e.File(t.Context(), c, "/v/f/token", 5); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a file above the limit: %v", err)
	}
	if _, err := e.File(t.Context(), c, "/v/f", 100); err == nil || !strings.Contains(err.Error(), "wanted a file") {
		t.Errorf("a folder as a file: %v", err)
	}
	if err := e.CopyIn(t.Context(), c, "/nowhere", in...); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no folder: %v", err)
	}
	for _, name := range []string{"../x", "/x", "a/../x", "", "."} {
		if err := e.CopyIn(t.Context(), c, "/v", docker.Entry{Name: name}); err == nil {
			t.Errorf("entry %q was copied", name)
		}
	}
}

// refusesLinks: a link that the container made says nothing about its target.
func refusesLinks(t *testing.T, e *docker.Engine, c string) {
	if err := e.CopyIn(t.Context(), c, "/v", docker.Entry{Name: "theirs", Mode: fs.ModeDir | 0o700, UID: 10001, GID: 10001}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Exec(t.Context(), c, nil, "/idle", "link", "/v/theirs/routes.yaml"); err != nil {
		t.Fatal(err)
	}
	paths := []string{"/v/theirs/routes.yaml"}
	if !e.Podman() {
		paths = append(paths, "/v/theirs")
	}
	for _, p := range paths {
		if got, err := e.CopyOut(t.Context(), c, p, 1<<20); err == nil || !strings.Contains(err.Error(), "wanted files and folders") {
			t.Errorf("%s: %v, %v", p, got, err)
		}
	}
}

func execs(t *testing.T, e *docker.Engine, c string) {
	long := strings.Repeat("abc\n", 100_000)
	out, err := e.Exec(t.Context(), c, strings.NewReader(long), "/idle", "cat")
	if err != nil || string(out) != long {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	_, err = e.Exec(t.Context(), c, nil, "/idle", "exit", "42")
	var no *docker.Error
	if !errors.As(err, &no) || no.Code != 42 || !strings.HasSuffix(err.Error(), ` exec: on purpose\u{1b}[2J`) {
		t.Errorf("got %v", err)
	}
	if _, err := e.Exec(t.Context(), c, nil, "idle"); err == nil {
		t.Error("a program without a path ran")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var gone *docker.Unreachable
	if _, err := e.Exec(ctx, c, nil, "/idle"); !errors.As(err, &gone) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without an end: %v", err)
	}
}

func sessions(t *testing.T, e *docker.Engine, c string) {
	s, err := e.Session(c, "/idle", "cat")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(s)
	for _, want := range []string{"one\n", "two\n"} {
		if _, err := s.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := lines.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	s.Close()
	<-s.Ended()
	if s, err = e.Session(c, "/idle", "exit", "3"); err != nil {
		t.Fatal(err)
	}
	var no *docker.Error
	if err := s.Err(); !errors.As(err, &no) || no.Code != 3 {
		t.Errorf("got %v", err)
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	s.Close()
}

func signals(t *testing.T, e *docker.Engine, c string) {
	log, err := e.Follow(c, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := e.Signal(t.Context(), c, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for said := ""; !strings.Contains(said, "hangup\n"); {
		lines, err := log.Lines()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			said += string(l.Text) + "\n"
		}
	}
	if _, err := e.Output(t.Context(), nil, "stop", c); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"signal": e.Signal(t.Context(), c, syscall.SIGHUP),
		"exec":   func() error { _, err := e.Exec(t.Context(), c, nil, "/idle"); return err }(),
	} {
		if !errors.Is(err, docker.ErrNotRunning) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of what is stopped: %v", what, err)
		}
	}
	if _, err := e.File(t.Context(), c, "/v/f/table", 100); err != nil {
		t.Errorf("a file of what is stopped: %v", err)
	}
	if got, err := e.Inspect(t.Context(), c); err != nil || got.Running() || got.State != "exited" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func missing(t *testing.T, e *docker.Engine, c string) {
	_, err := e.CopyOut(t.Context(), c, "/v/nothing", 100)
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, docker.ErrNoContainer) {
		t.Errorf("a file: %v", err)
	}
	for what, err := range map[string]error{
		"inspect": func() error { _, err := e.Inspect(t.Context(), c+"-no"); return err }(),
		"copy":    func() error { _, err := e.CopyOut(t.Context(), c+"-no", "/v", 100); return err }(),
		"copy in": e.CopyIn(t.Context(), c+"-no", "/v", docker.Entry{Name: "x"}),
		"signal":  e.Signal(t.Context(), c+"-no", syscall.SIGHUP),
	} {
		if !errors.Is(err, docker.ErrNoContainer) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"--help", "a b", "a:b", "", "../x"} {
		if err := e.Signal(t.Context(), name, syscall.SIGHUP); err == nil || errors.Is(err, docker.ErrNoContainer) {
			t.Errorf("%q: %v; wanted that it is no name", name, err)
		}
	}
}

// TestUnreachable: the message says which engine, and what to try.
func TestUnreachable(t *testing.T) {
	dockertest.Engine(t)
	t.Setenv("DOCKER_CONTEXT", "")
	for _, c := range []struct {
		name string
		e    *docker.Engine
		want []string
	}{
		{"host", &docker.Engine{Env: []string{"DOCKER_HOST=tcp://127.0.0.1:1"}}, []string{"(tcp://127.0.0.1:1) cannot be reached", "'docker info'"}},
		{"context", &docker.Engine{Context: "bottle-no-such"}, []string{"(context bottle-no-such) cannot be reached", "context not found", "'docker --context bottle-no-such info'"}},
		{"program", &docker.Engine{Program: "/nowhere/docker"}, []string{"there is no program /nowhere/docker", "BOTTLE_DOCKER"}},
	} {
		_, err := c.e.Containers(t.Context(), "bottle.name")
		var gone *docker.Unreachable
		if !errors.As(err, &gone) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		said := err.Error() + "\nhint: " + gone.Hint()
		for _, w := range c.want {
			if !strings.Contains(said, w) {
				t.Errorf("%s: wanted %q in %q", c.name, w, said)
			}
		}
	}
}

func TestContexts(t *testing.T) {
	if dockertest.Engine(t).Podman() {
		t.Skip("podman has no contexts")
	}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT"} {
		t.Setenv(name, "")
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	e := docker.Open(os.Getenv, "")
	if _, err := e.Output(t.Context(), nil, "context", "create", "far", "--docker", "host=tcp://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	names, err := docker.Open(os.Getenv, "far").Contexts(t.Context())
	if err != nil || strings.Join(names, " ") != "default far" {
		t.Errorf("got %q, %v", names, err)
	}
	where := func(e *docker.Engine) string {
		context, host, err := e.Where(t.Context())
		if err != nil {
			t.Error(err)
		}
		return context + " " + host
	}
	if got := where(e); got != "default " {
		t.Errorf("the default: %q", got)
	}
	if got := where(docker.Open(os.Getenv, "far")); got != "far " {
		t.Errorf("a context: %q", got)
	}
	t.Setenv("DOCKER_CONTEXT", "far")
	if got := where(e); got != "far " {
		t.Errorf("DOCKER_CONTEXT: %q", got)
	}
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:2")
	if got := where(e); got != " tcp://127.0.0.1:2" {
		t.Errorf("DOCKER_HOST: %q", got)
	}
	// The engine of a record is the same, whatever is set later.
	if _, err := docker.At("", "default", "").Output(t.Context(), nil, "version", "--format", "{{json .}}"); err != nil {
		t.Error(err)
	}
	if _, err := docker.At("", "far", "").Output(t.Context(), nil, "version"); err == nil || !strings.Contains(err.Error(), "context far") {
		t.Errorf("the engine of a context: %v", err)
	}
}

// TestPodman: it has no contexts, and is told so before it is run.
func TestPodman(t *testing.T) {
	e := docker.Open(func(name string) string { return map[string]string{"BOTTLE_DOCKER": "/nowhere/podman"}[name] }, "far")
	if _, err := e.Output(t.Context(), nil, "version"); err == nil || !strings.Contains(err.Error(), "podman has no contexts") {
		t.Errorf("got %v", err)
	}
	if _, err := e.Contexts(t.Context()); err == nil || !strings.Contains(err.Error(), "podman has no contexts") {
		t.Errorf("got %v", err)
	}
}

// TestNoise: what the CLI says for no reason is dropped, all else is passed on.
func TestNoise(t *testing.T) {
	cli := filepath.Join(t.TempDir(), "docker")
	script := "#!/bin/sh\necho 'WARNING: Localhost DNS (127.0.0.1) may fail in containers.' >&2\necho out\necho \"$2\" >&2\n[ \"$1\" = ok ]\n"
	if err := os.WriteFile(cli, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	var told []string
	e := &docker.Engine{Program: cli, Warn: func(line string) { told = append(told, line) }}
	out, err := e.Output(t.Context(), nil, "ok", "a limit was discarded")
	if err != nil || string(out) != "out\n" || strings.Join(told, "|") != "a limit was discarded" {
		t.Errorf("got %q, %v, %q", out, err, told)
	}
	if _, err := e.Output(t.Context(), nil, "bad", "Error response from daemon: why"); err == nil || err.Error() != cli+" bad: why" {
		t.Errorf("got %v", err)
	}
}
