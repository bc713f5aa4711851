package main

import (
	"bytes"
	"context"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// diff prints what changes from one table to another.
func diff(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	if err := env.Parse(fs, 2, 2); err != nil {
		return err
	}
	if err := onlyOneStdin(fs.Arg(0), fs.Arg(1)); err != nil {
		return err
	}
	old, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	new, err := readTable(env, fs.Arg(1))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, c := range route.Diff(old, new) {
		if !*asJSON {
			fmt.Fprintln(&b, c.Text)
			continue
		}
		if err := printJSON(&b, c); err != nil {
			return err
		}
	}
	_, err = env.Stdout.Write(b.Bytes())
	return err
}
