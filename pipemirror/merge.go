package main

import (
	"context"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

func merge(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	replace := fs.Bool("replace", false, "")
	if err := env.Parse(fs, 1, 2); err != nil {
		return err
	}
	file := fs.Arg(0)
	if file == "-" {
		return cli.Misused("CONFIG is a file; standard input is for the hosts")
	}
	config, shown, err := env.ReadInput(file, mirror.MaxBytes)
	if err != nil {
		return err
	}
	list, left, err := readHosts(env, fs.Arg(1))
	if err != nil {
		return answer(err)
	}
	out, _, err := mirror.Merge(shown, config, list, *replace)
	if err != nil {
		return answer(err)
	}
	tellLeft(env, left)
	_, err = env.Stdout.Write(out)
	return err
}
