package bottles

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"bottle/pkg/docker"
	"bottle/pkg/docker/dockertest"
	"bottle/pkg/state"
)

// env is an operator's environment with a state folder of its own.
func env(t *testing.T, more ...string) func(string) string {
	t.Helper()
	vars := map[string]string{"BOTTLE_DIR": t.TempDir()}
	for i := 0; i < len(more); i += 2 {
		vars[more[i]] = more[i+1]
		t.Setenv(more[i], more[i+1]) // the CLI reads the process's
	}
	return func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return os.Getenv(name)
	}
}

func dirOf(t *testing.T, getenv func(string) string, slug string) state.Dir {
	t.Helper()
	root, err := state.Root(getenv)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.At(root, slug)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// start makes the egress-proxy's container of a bottle, which idles.
func start(t *testing.T, e *docker.Engine, image, slug, id string) {
	t.Helper()
	dockertest.Container(t, e, image, ContainerName(slug, "egress-proxy"),
		"--label", LabelName+"="+slug, "--label", LabelID+"="+id, "--label", LabelRole+"=egress-proxy")
}

// TestDocker finds a bottle by its labels, and by a record.
func TestDocker(t *testing.T) {
	e := dockertest.Engine(t)
	getenv := env(t)
	slug := dockertest.Name("found")
	id := slug + "-12345678"
	if _, err := Find(t.Context(), getenv, "", slug); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), "nor on the engine of ") || !strings.Contains(err.Error(), "\nhint: ") {
		t.Errorf("before: %v", err)
	}
	start(t, e, dockertest.Image(t, e), slug, id)
	b, err := Find(t.Context(), getenv, "", slug)
	if err != nil || b.Backend != Docker || b.ID != id || !b.Running() || b.Record.Name != "" {
		t.Fatalf("by its labels: %+v, %v", b, err)
	}
	// One that has the labels from its image, and runs.
	dockertest.Container(t, e, dockertest.Image(t, e), dockertest.Name("other"),
		"--label", LabelName+"="+slug, "--label", LabelID+"="+slug+"-00000000", "--label", LabelRole+"=egress-proxy")
	if b, err = Find(t.Context(), getenv, "", slug); err != nil || b.ID != id {
		t.Fatalf("beside another's labels: %+v, %v", b, err)
	}
	if part, err := b.Part("egress-proxy"); err != nil || len(part) != 64 {
		t.Errorf("the proxy: %q, %v", part, err)
	}
	if _, err := b.Part("pipelock"); !errors.Is(err, docker.ErrNoContainer) {
		t.Errorf("a part that is not there: %v", err)
	}
	if fi, err := os.Stat(b.Dir.Shown()); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the operator's folder: %v, %v", fi, err)
	}
	place, _, err := e.Where(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record := state.Record{Name: slug, Backend: Docker, ID: id, Engine: &state.Engine{Program: e.Program, Context: place}, Workspace: "/w"}
	if err := b.Dir.Save(record); err != nil {
		t.Fatal(err)
	}
	// The record's engine is asked, wherever the environment points.
	away := env(t, "DOCKER_HOST", "tcp://127.0.0.1:1", "CONTAINER_HOST", "tcp://127.0.0.1:1", "BOTTLE_DIR", getenv("BOTTLE_DIR"))
	if b, err = Find(t.Context(), away, "", slug); err != nil || b.ID != id || b.Record.Workspace != "/w" {
		t.Errorf("by its record: %+v, %v", b, err)
	}
	var gone *docker.Unreachable
	if _, err := Find(t.Context(), away, "", slug+"x"); !errors.As(err, &gone) || errors.Is(err, ErrAbsent) {
		t.Errorf("another one: %v; wanted that the chosen engine cannot be asked", err)
	}
	list, err := List(t.Context(), away, false)
	var silent Unasked
	if !errors.As(err, &silent) || len(silent) != 1 || !strings.Contains(err.Error(), "tcp://127.0.0.1:1") {
		t.Errorf("list: %v", err)
	}
	list = slices.DeleteFunc(list, func(b Bottle) bool { return b.Name != slug }) // an engine may have others
	if len(list) != 1 || !list[0].Running() || list[0].Record.Workspace != "/w" {
		t.Errorf("list: %+v", list)
	}
	if _, err := docker.At(e.Program, place, "").Output(t.Context(), nil, "kill", ContainerName(slug, "egress-proxy")); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), getenv, "", slug); !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "bottlerun gc") {
		t.Errorf("ended: %v", err)
	}
}

// TestListOnce: two contexts may lead to one engine.
func TestListOnce(t *testing.T) {
	e := dockertest.Engine(t)
	if e.Podman() {
		t.Skip("podman has no contexts")
	}
	slug := dockertest.Name("once")
	start(t, e, dockertest.Image(t, e), slug, slug+"-1")
	getenv := env(t, "DOCKER_CONFIG", t.TempDir())
	for name, host := range map[string]string{"again": "unix:///var/run/docker.sock", "off": "tcp://127.0.0.1:1"} {
		if _, err := e.Output(t.Context(), nil, "context", "create", name, "--docker", "host="+host); err != nil {
			t.Fatal(err)
		}
	}
	list, err := List(t.Context(), getenv, true)
	var silent Unasked
	if !errors.As(err, &silent) || len(silent) != 1 || !strings.Contains(err.Error(), "context off") {
		t.Errorf("got %v", err)
	}
	n := 0
	for _, b := range list {
		if b.Name == slug {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d times in %v", n, list)
	}
	if b, err := Find(t.Context(), getenv, "again", slug); err != nil || b.Engine.Context != "again" {
		t.Errorf("by context: %v, %v", b, err)
	}
	if list, err := List(t.Context(), getenv, false); err != nil {
		t.Errorf("the current engine alone: %v, %v", list, err)
	}
}

// TestLocal: a bottle of this machine needs no engine, and who has none is not
// told of one.
func TestLocal(t *testing.T) {
	getenv := env(t, "PATH", t.TempDir(), "BOTTLE_DOCKER", "")
	if _, err := Find(t.Context(), getenv, "", "../x"); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	_, err := Find(t.Context(), getenv, "", "web")
	if !errors.Is(err, ErrAbsent) || strings.Contains(err.Error(), "docker") {
		t.Errorf("none: %v", err)
	}
	dir := dirOf(t, getenv, "web")
	if err := dir.Make(); err != nil {
		t.Fatal(err)
	}
	if err := dir.Save(state.Record{Name: "web", Backend: "local", Boot: state.Boot()}); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(t.Context(), getenv, "", "web"); !errors.Is(err, ErrStopped) {
		t.Errorf("not running: %v", err)
	}
	release, err := dir.Hold()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	b, err := Find(t.Context(), getenv, "", "web")
	if err != nil || !b.Running() || b.Engine != nil {
		t.Errorf("running: %+v, %v", b, err)
	}
	if list, err := List(t.Context(), getenv, false); err != nil || len(list) != 1 || list[0].Name != "web" {
		t.Errorf("list: %+v, %v", list, err)
	}
	if _, err := Find(t.Context(), env(t, "BOTTLE_DOCKER", "podman"), "", "web"); !strings.Contains(err.Error(), "there is no program podman") {
		t.Errorf("a program that is asked for and not there: %v", err)
	}
}
