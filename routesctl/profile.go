package main

import (
	"context"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/profile"
)

// profiles prints the names of the profiles, or one as a table with its comments.
func profiles(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	name := fs.Arg(0)
	if name == "" {
		for _, n := range profile.Names() {
			if _, err := fmt.Fprintln(env.Stdout, n); err != nil {
				return err
			}
		}
		return nil
	}
	if !profile.Known(name) {
		return cli.Refused(profile.Unknown(name))
	}
	text, err := profile.Text(name)
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write(text)
	return err
}
