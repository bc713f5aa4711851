package main

import (
	"context"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/strictjson"
)

// list prints the proposals, what reaches furthest first and of that the newest:
// one a line, fields separated by tabs, or one JSON object a line. Files that are
// no proposals, and what else could not be read, are named on stderr.
func list(ctx context.Context, env *cli.Env) error {
	d := desk{env: env}
	fs := env.Flags()
	d.addFlags(fs)
	asJSON := fs.Bool("json", false, "")
	decided := fs.Bool("decided", false, "")
	each := fs.Bool("each", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	places, faults, err := d.places(ctx)
	if err != nil {
		return err
	}
	var all []waits
	for _, at := range places {
		var found []waits
		var bad []error
		var err error
		if *decided {
			found, bad, err = decidedOf(ctx, at)
		} else {
			found, bad, err = waiting(ctx, env, at)
		}
		if err != nil && d.named() {
			return err
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", at.bottle, err))
		}
		all, faults = append(all, found...), append(faults, bad...)
	}
	tellLeftOut(env, all, faults)
	if !*decided {
		byRisk(all)
	}
	return printList(env, all, *asJSON, *each || *decided)
}

// maxFaults bounds the lines on stderr: a hostile queue has many bad files.
const maxFaults = 10

// tellLeftOut names what could not be read or compared.
func tellLeftOut(env *cli.Env, all []waits, faults []error) {
	for i, err := range faults {
		if i == maxFaults {
			fmt.Fprintf(env.Stderr, "superviser %s: left out: %d more\n", env.Verb, len(faults)-i)
			break
		}
		fmt.Fprintf(env.Stderr, "superviser %s: left out: %s\n", env.Verb, escape.Text(err.Error(), 0))
	}
	told := map[*place]bool{}
	for _, w := range all {
		if w.fault != nil && !told[w.at] {
			told[w.at] = true
			fmt.Fprintf(env.Stderr, "superviser %s: %s: what its proposals would change is unknown: %s\n", env.Verb, or(w.at.bottle, w.at.queue), escape.Text(w.fault.Error(), 0))
		}
	}
}

func printList(env *cli.Env, all []waits, asJSON, each bool) error {
	counts := make([]int, len(all))
	if !asJSON && !each {
		all, counts = fold(all)
	}
	for i := range all {
		var err error
		if asJSON {
			err = printJSON(env, all[i].object())
		} else {
			err = printLine(env, &all[i], max(1, counts[i]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printLine(env *cli.Env, w *waits, count int) error {
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", w.ID, w.State(), w.Component,
		w.Filed.UTC().Format(time.RFC3339), or(w.at.bottle, "-"), or(w.Level, "-"), count,
		escape.Text(subject(w.Record), 300), escape.Text(w.Justification, 200))
	return err
}

// object is w as -json prints it.
func (w *waits) object() any {
	fault := ""
	if w.fault != nil {
		fault = w.fault.Error()
	}
	return struct {
		view
		Bottle string `json:"bottle,omitempty"`
		Fault  string `json:"fault,omitempty"` // why there are no changes, risks and digest
	}{w.view, w.at.bottle, fault}
}

// printJSON prints v as one line in which no character is invisible.
func printJSON(env *cli.Env, v any) error {
	line, err := strictjson.Encode(v)
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write(escape.JSON(line))
	return err
}
