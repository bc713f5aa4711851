package main

import (
	"bytes"
	"context"
	"fmt"

	"bottle/pkg/cli"
)

// hosts prints the names of a table for the mirror, one per line.
func hosts(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	t, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	names, left := t.Hosts()
	if *asJSON {
		return printJSON(env.Stdout, struct {
			Hosts   []string `json:"hosts"`
			LeftOut []string `json:"left_out"`
		}{append([]string{}, names...), append([]string{}, left...)})
	}
	var b bytes.Buffer
	for _, name := range names {
		fmt.Fprintln(&b, name)
	}
	if _, err := env.Stdout.Write(b.Bytes()); err != nil {
		return err
	}
	for _, host := range left {
		note(env, "left out: %s (pipelock matches no IPv6 address)", host)
	}
	return nil
}
