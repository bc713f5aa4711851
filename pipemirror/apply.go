package main

import (
	"context"
	"errors"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

func apply(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	t.waitFlag(fs)
	plan := fs.Bool("n", false, "")
	replace := fs.Bool("replace", false, "")
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	p, err := t.find(env)
	none := errors.Is(err, errNone)
	if err != nil && !none {
		return err
	}
	list, left, err := readHosts(env, fs.Arg(0))
	if err != nil || none { // a list that is no list of hosts is refused all the same
		return answer(err)
	}
	tellLeft(env, left)
	if *plan {
		return printPlan(env, p, list, *replace)
	}
	_, err = p.Apply(ctx, list, *replace)
	return answer(err)
}

// printPlan says what apply would change.
func printPlan(env *cli.Env, p mirror.Pipelock, list []string, replace bool) error {
	config, err := readConfig(p)
	if err != nil {
		return err
	}
	_, change, err := mirror.Merge(p.Config, config, list, replace)
	if err != nil {
		return answer(err)
	}
	for _, host := range change.Removed {
		fmt.Fprint(env.Stdout, "- "+escaped([]string{host}))
	}
	for _, host := range change.Added {
		fmt.Fprintln(env.Stdout, "+ "+host)
	}
	return nil
}
