package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"bottle/pkg/lent"
	"bottle/pkg/mirror/standin"
	"bottle/pkg/sandbox"
	"bottle/pkg/scripttest"
)

// The test binary is bottlerun, the stages of its sandbox, and stand-ins of the
// other programs: what they do is tested where they are, and the chain of all
// in scripts/. These hold bottlerun to what it hands them.
func TestMain(m *testing.M) {
	sandbox.Stages()
	scripttest.Main(m, map[string]func() int{
		"bottlerun":    func() int { main(); return 0 },
		"egress-proxy": proxyStandin,
		"superviser":   superviserStandin,
		"pipelock":     standin.Main,
	})
}

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }

// TestSandboxScripts need namespaces.
func TestSandboxScripts(t *testing.T) {
	if err := sandbox.Probe(); err != nil {
		t.Skip(err)
	}
	scripttest.Run(t, "testdata/sandbox")
}

func TestReadmeHasUsage(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```\n"+usage+"```\n") {
		t.Error("README.md does not contain usage.txt verbatim")
	}
}

// proxyStandin serves what bottlerun relies on: the flags, the inherited
// listener, healthz, TERM. It tells what it was given at /given.
func proxyStandin() int {
	fs := flag.NewFlagSet("egress-proxy", flag.ContinueOnError)
	values := map[string]*string{}
	for _, name := range []string{"listen", "bottle", "routes", "ca-cert", "ca-key", "token-dir", "access-log", "upstream", "upstream-ca", "allow-private"} {
		values[name] = fs.String(name, "", "")
	}
	if fs.Parse(os.Args[1:]) != nil || *values["listen"] != "fd:3" {
		return 2
	}
	for _, name := range []string{"routes", "ca-cert", "ca-key"} {
		if _, err := os.ReadFile(*values[name]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
	}
	if data, _ := os.ReadFile(*values["routes"]); strings.Contains(string(data), "die.at.start") {
		fmt.Fprintln(os.Stderr, "egress-proxy: the stand-in was told to die")
		return 3
	}
	l, err := lent.Listener(context.Background(), 3)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != "_egress-proxy.local":
			http.Error(w, "egress-proxy: host '"+r.Host+"' is not in the bottle's egress_proxy.routes allowlist", 403)
		case r.URL.Path == "/given":
			fmt.Fprintln(w, strings.Join(os.Args[1:], " "))
			fmt.Fprintln(w, strings.Join(os.Environ(), "\n"))
		case r.URL.Path == "/die":
			os.Exit(9)
		}
	}))
	return untilTerm()
}

// superviserStandin answers each connection with one line, and connect prints it.
func superviserStandin() int {
	if len(os.Args) > 2 && os.Args[1] == "connect" {
		c, err := net.Dial("unix", os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		io.Copy(os.Stdout, c)
		return 0
	}
	l, err := lent.Listener(context.Background(), 3)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "superviser", strings.Join(os.Args[1:], " "))
			c.Close()
		}
	}()
	return untilTerm()
}

func untilTerm() int {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	<-c
	return 0
}
