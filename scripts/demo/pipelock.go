package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/mirror/standin"
)

// pipelock is the second proxy: the stand-in of the tests, which behaves as
// pipelock does and knows where api.demo.test is. It is told so by a file beside
// it, since bottlerun passes on nothing of the operator's environment.
func pipelock(_ context.Context, _ *cli.Env) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	addr, err := os.ReadFile(filepath.Join(filepath.Dir(exe), "origin.addr"))
	if err != nil {
		return err
	}
	os.Setenv("STANDIN_HOSTS", host+"="+strings.TrimSpace(string(addr)))
	return cli.Exit(standin.Main(), cli.Silent)
}
