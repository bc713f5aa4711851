package main

import (
	"context"
	"fmt"

	"bottle/pkg/cli"
)

// validate reports all faults of a table, or is silent.
func validate(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	t, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	for _, w := range t.Warnings() {
		fmt.Fprintf(env.Stderr, "%v (warning)\n", w)
	}
	return nil
}
