// Package dockertest gives tests an engine, and an image with one idle program.
package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"bottle/pkg/docker"
)

// Engine is the engine of this machine. Without one the test is skipped, or
// fails where BOTTLE_REQUIRE_DOCKER is 1.
func Engine(t testing.TB) *docker.Engine {
	t.Helper()
	e := docker.Open(os.Getenv, "")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := e.Output(ctx, nil, "version", "--format", "{{json .}}"); err != nil {
		if os.Getenv("BOTTLE_REQUIRE_DOCKER") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return e
}

// Name is a name that no other test has.
func Name(prefix string) string {
	return fmt.Sprintf("%s-%x-%x", prefix, os.Getpid(), time.Now().UnixNano()&0xffffffff)
}

// Program is the static program of the package pkg.
func Program(t testing.TB, pkg string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-o", program, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Image makes an image whose only file is /idle, a program that waits for TERM,
// and removes it at the end of the test.
func Image(t testing.TB, e *docker.Engine) string {
	t.Helper()
	data := Program(t, "bottle/pkg/docker/dockertest/testdata/idle")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "idle", Mode: 0o755, Size: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	image := Name("bottle-test") + ":1"
	run(t, e, &b, "import", "-c", `ENTRYPOINT ["/idle"]`, "-", image)
	t.Cleanup(func() { clean(t, e, "rmi", "-f", image) })
	return image
}

// Container makes a container of the image, with more flags of docker create and
// a volume at /v, starts it, and removes both at the end of the test.
func Container(t testing.TB, e *docker.Engine, image, name string, flags ...string) {
	t.Helper()
	args := append([]string{"create", "--name", name, "--network", "none", "--read-only", "--cap-drop", "ALL", "--user", "10001:10001", "-v", name + ":/v"}, flags...)
	if e.Podman() {
		args = append(args, "--ulimit", "nofile=1024", "--ulimit", "nproc=1024") // its default is more than some machines allow
	}
	t.Cleanup(func() { clean(t, e, "volume", "rm", "-f", name) })
	t.Cleanup(func() { clean(t, e, "rm", "-f", name) })
	run(t, e, nil, append(args, image)...)
	run(t, e, nil, "start", name)
}

func run(t testing.TB, e *docker.Engine, stdin *bytes.Buffer, args ...string) {
	t.Helper()
	var err error
	if stdin == nil {
		_, err = e.Output(t.Context(), nil, args...)
	} else {
		_, err = e.Output(t.Context(), stdin, args...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func clean(t testing.TB, e *docker.Engine, args ...string) {
	t.Helper()
	if _, err := e.Output(context.Background(), nil, args...); err != nil {
		t.Error(err)
	}
}
