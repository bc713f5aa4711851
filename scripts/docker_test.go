package scripts

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInContainer: in a plain container, which has no right to make namespaces,
// bottlerun starts nothing and says why. The image holds the static programs
// and nothing else, so that nothing else can be needed.
func TestInContainer(t *testing.T) {
	alongside(t)
	needDocker(t)
	image := fmt.Sprintf("bottle-e2e:%d-%d", os.Getpid(), time.Now().UnixNano())
	cmd := exec.Command("docker", "import", "-", image)
	cmd.Stdin = bytes.NewReader(programsTar(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rmi", "-f", image).CombinedOutput(); err != nil {
			t.Errorf("docker rmi: %v\n%s", err, out)
		}
	})
	for _, user := range []string{"0:0", "12345:12345"} {
		out, code := runDocker(t, "run", "--rm", "--network", "none", "--user", user, "-e", "BOTTLE_DIR=/work/.state", "-w", "/work/project", image, "/bin/bottlerun", "run", "--", "/bin/superviser", "-version")
		if code != 3 || !strings.Contains(out, "container") || !strings.Contains(out, "hint: ") {
			t.Errorf("as %s: wanted exit 3 and that this is a container; got exit %d\n%s", user, code, out)
		}
	}
	out, code := runDocker(t, "run", "--rm", "--network", "none", "--user", "12345:12345", "-e", "BOTTLE_DIR=/work/.state", image, "/bin/bottlerun", "doctor")
	if code != 1 || !strings.Contains(out, "says no\tcontainer\t") || !strings.Contains(out, "says no\tbackend local\t") || !strings.Contains(out, "hint: run bottlerun on the host") {
		t.Errorf("doctor: wanted exit 1 and that this is a container; got exit %d\n%s", code, out)
	}
	for _, p := range programs {
		if out, code := runDocker(t, "run", "--rm", "--network", "none", image, "/bin/"+p, "-version"); code != 0 {
			t.Errorf("%s -version: exit %d\n%s", p, code, out)
		}
	}
}

// alongside lets a test of containers run beside others: most of its time it waits
// for the engine. Not those that leave a bottle dead for a while, which another
// one's gc would remove, and of those with a gc but one.
func alongside(t *testing.T) { t.Parallel() }

// needDocker skips the test where there is no engine, unless one is required.
func needDocker(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").CombinedOutput()
	if err == nil {
		return
	}
	why := fmt.Sprintf("no docker engine: %v %s", err, out)
	if os.Getenv("BOTTLE_REQUIRE_DOCKER") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func runDocker(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("docker %q: %v\n%s", args, err, out)
	}
	if exit == nil {
		return string(out), 0
	}
	return string(out), exit.ExitCode()
}

// programsTar is a root file system: /bin with the programs, /work for anybody.
func programsTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"work/", "work/project/", "tmp/"} {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o1777}))
	}
	for _, p := range programs {
		f, err := os.Open(filepath.Join(base, "bin", p))
		must(t, err)
		fi, err := f.Stat()
		must(t, err)
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/" + p, Mode: 0o755, Size: fi.Size()}))
		_, err = io.Copy(w, f)
		must(t, errors.Join(err, f.Close()))
	}
	must(t, w.Close())
	return b.Bytes()
}
