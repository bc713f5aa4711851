package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bottle/pkg/mirror/standin"
	"bottle/pkg/route"
	"bottle/pkg/scripttest"
)

func TestMain(m *testing.M) {
	scripttest.Main(m, map[string]func() int{
		"routesctl": func() int { main(); return 0 },
		"pipelock":  standin.Main,
		"origin":    origin,
	})
}

// origin answers on a port of loopback, which it prints.
func origin() int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	fmt.Println(ln.Addr().(*net.TCPAddr).Port)
	http.Serve(ln, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return 3
}

// TestScripts also builds the programs with which a real bottle runs, for the
// verbs that change one.
func TestScripts(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "../bottlerun", "../egress-proxy", "../superviser", "../pipemirror")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":"+dir) // behind routesctl under test
	scripttest.Run(t, "testdata")
}

func TestExamplesParse(t *testing.T) {
	names, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d examples, %v", len(names), err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		table, err := route.Parse(name, data)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range table.Warnings() {
			t.Error(w)
		}
	}
}

func TestReadmeHasUsage(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), usage) {
		t.Error("README.md does not hold usage.txt as it is")
	}
}
