package main

import (
	"context"
	"errors"
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

func show(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	p, err := t.find(ctx, env)
	if errors.Is(err, errNone) {
		return cli.Refused(err)
	}
	if err != nil {
		return err
	}
	config, err := p.Read(ctx)
	if err != nil {
		return err
	}
	entries, err := mirror.Entries(p.String(), config)
	if err != nil {
		return answer(err)
	}
	runs, err := p.Runs(ctx, config)
	if err != nil {
		return err
	}
	if !runs {
		fmt.Fprintf(env.Stderr, "%s %s: pipelock has not confirmed that it runs %s as it stands\n", env.Prog, env.Verb, p.Place)
	}
	_, err = fmt.Fprint(env.Stdout, escaped(entries))
	return err
}

// escaped is one entry per line; one that holds more than a host's characters
// is quoted, since a configuration may hold anything.
func escaped(entries []string) string {
	list := make([]string, len(entries))
	for i, e := range entries {
		if list[i] = fmt.Sprintf("%q", e); list[i] == `"`+e+`"` && e != "" {
			list[i] = e
		}
	}
	return lines(list)
}
