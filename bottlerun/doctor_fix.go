package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bottle/pkg/atomicfile"
	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/mirror"
	"bottle/pkg/textdiff"
)

// fix writes into the manifest what the clients need, and shows the change.
func (d *diagnosis) fix(env *cli.Env, p *plan, needs []string) error {
	if len(needs) == 0 {
		note(env, "the manifest lacks nothing that would help")
		return nil
	}
	name := d.manifest
	if name == "" {
		name = manifestName
	}
	next, err := withClients(name, p.text, needs)
	if err != nil {
		return err
	}
	err = atomicfile.Replace(name, p.text, next)
	if errors.Is(err, atomicfile.ErrChanged) {
		return cli.Refusedf("%s has changed since doctor read it, and is left as it is\nhint: run doctor again", name)
	}
	if err != nil {
		return err
	}
	note(env, "%s is written; bottles that run have what they were started with", name)
	var b strings.Builder
	for _, line := range textdiff.Lines(string(p.text), string(next), 1) {
		b.WriteString(escape.Text(line, 0) + "\n")
	}
	_, err = env.Stdout.Write([]byte(b.String()))
	return err
}

// withClients is a manifest that names these clients besides.
func withClients(name string, text []byte, needs []string) ([]byte, error) {
	next, err := mirror.AddItems(name, text, "clients", needs)
	if err != nil {
		return nil, cli.Refused(err)
	}
	m, err := bottle.Parse(name, next)
	if err != nil {
		return nil, fmt.Errorf("the manifest would not be valid, and is left as it is: %w", err)
	}
	for _, c := range needs {
		if !slices.Contains(m.Clients, c) {
			return nil, cli.Refusedf("%s is written in a way that is not edited here, and is left as it is; wanted clients: [%s] in it", name, strings.Join(needs, ", "))
		}
	}
	return next, nil
}
