package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
)

func apply(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	t.changeFlags(fs)
	plan, asJSON := fs.Bool("n", false, ""), fs.Bool("json", false, "")
	var wish mirror.Wish
	fs.StringVar(&wish.Was, "was", "", "")
	fs.BoolVar(&wish.Replace, "replace", false, "")
	var passed []string
	fs.Func("passthrough", "", func(host string) error { passed = append(passed, host); return nil })
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	if *asJSON && !*plan {
		return cli.Misused("-json without -n; wanted both, since apply itself prints nothing")
	}
	p, err := t.find(ctx, env)
	none := errors.Is(err, errNone)
	if err != nil && !none {
		return err
	}
	list, left, err := readHosts(env, fs.Arg(0))
	if err != nil {
		return answer(err)
	}
	wish.Restart = t.restart
	// A host that is to be passed is one that is to be allowed.
	var more []string
	if more, wish.Passed, err = passedHosts(passed); err != nil {
		return answer(err)
	}
	wish.Names = append(list, more...)
	slices.Sort(wish.Names)
	wish.Names = slices.Compact(wish.Names)
	if none { // a list that is no list of hosts was refused all the same
		if *asJSON {
			return printJSON(env, mirror.Change{})
		}
		return nil
	}
	tellLeft(env, left)
	if *plan {
		return printPlan(ctx, env, p, wish, *asJSON)
	}
	change, err := p.Apply(ctx, wish)
	tellRestart(env, change.Restarted)
	return t.hinted(answer(err), passed)
}

// passedHosts are the hosts of -passthrough as entries of the allowlist, and as
// those of passthrough_domains, which cover the apex as well.
func passedHosts(flags []string) (names, passed []string, err error) {
	for _, host := range flags {
		entries, left, err := mirror.Names("-passthrough", []byte(host))
		if err == nil {
			err = left.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		names = append(names, entries...)
		passed = append(passed, entries[:min(1, len(entries))]...) // "*.x" comes before "x"
	}
	return names, passed, nil
}

// tellRestart says what a restart has done to the bottle's connections.
func tellRestart(env *cli.Env, restarted bool) {
	if restarted {
		fmt.Fprintf(env.Stderr, "%s %s: pipelock was started anew; connections that were open through it are cut\n", env.Prog, env.Verb)
	}
}

// hinted adds what to type when a restart would help.
func (t *target) hinted(err error, passed []string) error {
	var refused *mirror.Refused
	if !errors.As(err, &refused) || !refused.Restart || t.restart || t.bottle == "" {
		return err
	}
	command := "pipemirror apply -restart"
	for _, h := range passed {
		command += " -passthrough " + h
	}
	return cli.Refused(fmt.Errorf("%w\nhint: '%s -bottle %s' starts it anew, which cuts the bottle's open connections", err, command, t.bottle))
}

// printPlan says what apply would change.
func printPlan(ctx context.Context, env *cli.Env, p mirror.Pipelock, w mirror.Wish, asJSON bool) error {
	change, err := p.Plan(ctx, w)
	if err != nil {
		return answer(err)
	}
	if asJSON {
		return printJSON(env, change)
	}
	for _, host := range change.Removed {
		fmt.Fprint(env.Stdout, "- "+escaped([]string{host}))
	}
	for _, host := range change.Added {
		fmt.Fprintln(env.Stdout, "+ "+host)
	}
	for _, host := range change.Passed {
		fmt.Fprintln(env.Stdout, "+ "+host+" passthrough, by a restart")
	}
	return nil
}

func printJSON(env *cli.Env, c mirror.Change) error {
	enc := json.NewEncoder(env.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(c)
}
