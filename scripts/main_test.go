// Package scripts holds the tests of the whole: the programs as they are built,
// bottles that are real, clients that people use, an origin with TLS on
// loopback. The scripts beside them are tested where people run them from.
package scripts

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"bottle/pkg/mirror/standin"
	"bottle/pkg/sandbox"
)

// roleEnv makes the test binary another program than the tests.
const roleEnv = "BOTTLE_E2E_ROLE"

// base is the toolkit as it is installed from a clone: base/bin with the
// programs and base/scripts. All may read it, as a test may run as another user.
var base string

var programs = []string{"egress-proxy", "routesctl", "superviser", "pipemirror", "bottlerun"}

func TestMain(m *testing.M) {
	sandbox.Stages()
	switch os.Getenv(roleEnv) {
	case "pipelock":
		os.Exit(standin.Main())
	case "probe":
		if err := sandbox.Probe(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(installed(m))
}

// installed runs the tests with the programs built.
func installed(m *testing.M) int {
	var err error
	if base, err = os.MkdirTemp("", "bottle-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(base)
	if err := install(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Tests that run beside others wait for an engine: there may be more of them at
	// once than processors.
	flag.Parse()
	if at := flag.Lookup("test.parallel").Value; at.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		at.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	for _, f := range atEnd.list {
		f()
	}
	return code
}

func install() error {
	for _, dir := range []string{base, filepath.Join(base, "bin"), filepath.Join(base, "scripts")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o755); err != nil { // MkdirTemp's is 0700
			return err
		}
	}
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(base, "bin") + "/"}
	for _, p := range programs {
		args = append(args, "./"+p)
	}
	build := exec.Command("go", args...)
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := copyProgram(self, filepath.Join(base, "bin", "standin")); err != nil {
		return err
	}
	for _, s := range []string{"approve", "reject"} {
		if err := copyProgram(s, filepath.Join(base, "scripts", s)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chmod(to, 0o755) // whatever the umask
}
