// Package interop has what others wrote speak through egress-proxy: gRPC,
// h2spec, net/http, WebSocket over both versions of HTTP. It is a module of its
// own, so that what only tests need is no dependency of the product.
package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleEnv makes the test binary another program than the tests.
const roleEnv = "INTEROP_ROLE"

// extendedConnect makes net/http's HTTP/2 server offer RFC 8441. It is read
// when the process starts.
const extendedConnect = "http2xconnect=1"

// program is the egress-proxy that is tested, built from the tree.
var program string

// limit bounds every wait: what takes longer on a busy machine is broken.
const limit = 20 * time.Second

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "h2spec":
		os.Exit(h2specMain())
	case "grpc":
		os.Exit(grpcMain())
	}
	if !strings.Contains(os.Getenv("GODEBUG"), extendedConnect) {
		os.Setenv("GODEBUG", extendedConnect)
		self, err := os.Executable()
		if err == nil {
			err = syscall.Exec(self, os.Args, os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(built(m))
}

// built runs the tests with the program built.
func built(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bottle-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "egress-proxy")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./egress-proxy")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// role is this test binary as another program.
func role(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), append(env, roleEnv+"="+name)...)
	return cmd
}
