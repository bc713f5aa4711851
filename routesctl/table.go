package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"bottle/pkg/bottle"
	"bottle/pkg/cli"
	"bottle/pkg/route"
	"bottle/pkg/strictyaml"

	"gopkg.in/yaml.v3"
)

// readTable reads and parses a table from the file name, or from standard input
// for "" and "-". Faults are reported and make the error a refusal.
func readTable(env *cli.Env, name string) (*route.Table, error) {
	data, shown, err := env.ReadInput(name, route.MaxBytes)
	if err != nil {
		return nil, err
	}
	t, err := route.Parse(shown, data)
	if err != nil {
		return nil, refuse(env, err)
	}
	return t, nil
}

// A policy is a table, and where it is from.
type policy struct {
	table    *route.Table
	manifest bool // it is the effective one of a manifest
}

// readPolicy reads a table or a manifest from the file name, as readTable does. A
// document with the key routes, or one that is no mapping, is meant as a table.
func readPolicy(env *cli.Env, name string) (policy, error) {
	data, shown, err := env.ReadInput(name, route.MaxBytes)
	if err != nil {
		return policy{}, err
	}
	t, err := route.Parse(shown, data)
	if err == nil {
		return policy{table: t}, nil
	}
	root, _ := strictyaml.Document(shown, data, strictyaml.Limits{Bytes: bottle.MaxBytes})
	if root == nil || root.Kind != yaml.MappingNode || (strictyaml.Mapping{Node: root}).Get("routes") != nil {
		return policy{}, refuse(env, err)
	}
	m, err := bottle.Parse(shown, data)
	if err != nil {
		return policy{}, refuse(env, err)
	}
	t, _, err = bottle.EffectiveRoutes(m)
	if err != nil {
		return policy{}, refuse(env, err)
	}
	return policy{t, true}, nil
}

// refuse makes err an answer, "no". Faults are printed here, one per line and
// without the program's name before them, so that editors find the places.
func refuse(env *cli.Env, err error) error {
	var faults strictyaml.Faults
	if !errors.As(err, &faults) {
		return cli.Refused(err)
	}
	if _, err := fmt.Fprintln(env.Stderr, faults.Error()); err != nil {
		return err
	}
	return cli.Exit(cli.No, cli.Silent)
}

// note tells people something that changes neither output nor exit code.
func note(env *cli.Env, format string, args ...any) {
	fmt.Fprintf(env.Stderr, "%s %s: %s\n", env.Prog, env.Verb, fmt.Sprintf(format, args...))
}

// onlyOneStdin refuses a line on which two operands are standard input.
func onlyOneStdin(a, b string) error {
	if (a == "" || a == "-") && (b == "" || b == "-") {
		return cli.Misused("two inputs are standard input; wanted one of them as a file")
	}
	return nil
}

// printJSON writes v as one line. Angle brackets stay as they are: the line goes
// to a terminal or a program, not into a page.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
