// Pipemirror keeps the hosts of a bottle's routes on the allowlist of its
// pipelock. See README.md.
package main

import (
	_ "embed"
	"errors"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/strictyaml"
)

//go:embed usage.txt
var usage string

func main() {
	cli.Main("pipemirror", usage,
		cli.Verb{Name: "names", Run: names},
		cli.Verb{Name: "merge", Run: merge},
		cli.Verb{Name: "show", Run: show},
		cli.Verb{Name: "apply", Run: apply},
		cli.Verb{Name: "edit", Run: edit},
	)
}

// answer gives err its exit code: what is wrong with the input, and what
// pipelock refuses, is a no; all else is trouble.
func answer(err error) error {
	var faults strictyaml.Faults
	var refused *mirror.Refused
	if errors.As(err, &faults) || errors.As(err, &refused) {
		return cli.Refused(err)
	}
	return err
}
