package main

import (
	"context"
	"fmt"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/strictyaml"
)

// hostsMax is how much is read as a list of hosts: 100,000 routes of the longest
// names, twice.
const hostsMax = 64 << 20

func names(_ context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	list, left, err := readHosts(env, fs.Arg(0))
	if err != nil {
		return answer(err)
	}
	tellLeft(env, left)
	_, err = fmt.Fprint(env.Stdout, lines(list))
	return err
}

// readHosts reads the operand HOSTS.
func readHosts(env *cli.Env, file string) ([]string, strictyaml.Faults, error) {
	data, shown, err := env.ReadInput(file, hostsMax)
	if err != nil {
		return nil, nil, err
	}
	return mirror.Names(shown, data)
}

// tellLeft names the hosts that have no entry.
func tellLeft(env *cli.Env, left strictyaml.Faults) {
	for _, f := range left {
		fmt.Fprintf(env.Stderr, "%s %s: %v\n", env.Prog, env.Verb, f)
	}
}

func lines(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\n") + "\n"
}
