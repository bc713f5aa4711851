package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"bottle/pkg/ca"
	"bottle/pkg/lent"
	"bottle/pkg/scripttest"
)

func TestMain(m *testing.M) {
	scripttest.Main(m, map[string]func() int{
		"egress-proxy": func() int { main(); return 0 },
		"ca-new":       caNew,
		"get":          get,
		"lend":         func() int { return lend(false) },
		"lend-later":   func() int { return lend(true) },
		"fifo":         func() int { return trouble(syscall.Mkfifo(os.Args[1], 0o644)) },
	})
}

func TestScripts(t *testing.T) { scripttest.Run(t, "testdata") }

func TestReadmeHasUsage(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```\n"+usage+"```\n") {
		t.Error("README.md does not contain usage.txt verbatim")
	}
}

func trouble(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	return 0
}

// caNew writes ca.pem and ca-key.pem.
func caNew() int {
	cert, key, err := ca.New("bottle", time.Now())
	if err == nil {
		err = os.WriteFile("ca.pem", cert, 0o644)
	}
	if err == nil {
		err = os.WriteFile("ca-key.pem", key, 0o600)
	}
	return trouble(err)
}

// get prints what URL answers through the proxy whose log is LOG, or that
// listens on the socket PATH for unix:PATH: get LOG|unix:PATH URL.
func get() int {
	network, addr := "tcp", ""
	if path, ok := strings.CutPrefix(os.Args[1], "unix:"); ok {
		network, addr = "unix", path
	} else {
		log, err := os.ReadFile(os.Args[1])
		if err != nil {
			return trouble(err)
		}
		addr = address(string(log))
	}
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"}),
		Dial:  func(string, string) (net.Conn, error) { return net.Dial(network, addr) },
	}}
	r, err := c.Get(os.Args[2])
	if err != nil {
		return trouble(err)
	}
	fmt.Println(r.StatusCode)
	_, err = io.Copy(os.Stdout, r.Body)
	return trouble(err)
}

// address is where a proxy says that it listens.
func address(log string) string {
	_, rest, _ := strings.Cut(log, `"address":"`)
	addr, _, _ := strings.Cut(rest, `"`)
	return addr
}

// lend runs a program with a listening socket as its descriptor 3, or with a
// socket pair over which that has been sent.
func lend(later bool) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return trouble(err)
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		return trouble(err)
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		return trouble(err)
	}
	if later {
		lender, theirs, err := lent.New()
		if err == nil {
			err = lender.Lend(f)
		}
		if err != nil {
			return trouble(err)
		}
		f = theirs
	}
	if err := syscall.Dup3(int(f.Fd()), 3, 0); err != nil {
		return trouble(err)
	}
	return trouble(syscall.Exec(path, os.Args[1:], os.Environ()))
}
