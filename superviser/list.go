package main

import (
	"context"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
	"bottle/pkg/strictjson"
)

// list prints the proposals, oldest first: one a line, fields separated by tabs,
// or one JSON object a line. Files that are no proposals are named on stderr.
func list(_ context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	at.addFlags(fs)
	asJSON := fs.Bool("json", false, "")
	decided := fs.Bool("decided", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if err := at.find(env); err != nil {
		return err
	}
	q, err := at.open()
	if err != nil {
		return err
	}
	defer q.Close()
	read := q.Pending
	if *decided {
		read = q.Decided
	}
	records, bad, err := read()
	if err != nil {
		return err
	}
	for _, err := range bad {
		fmt.Fprintf(env.Stderr, "superviser list: left out: %s\n", escape.Text(err.Error(), 0))
	}
	for _, r := range records {
		if err := printRecord(env, r, *asJSON); err != nil {
			return err
		}
	}
	return nil
}

func printRecord(env *cli.Env, r proposal.Record, asJSON bool) error {
	if asJSON {
		return printJSON(env, r)
	}
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State(), r.Component,
		r.Filed.UTC().Format(time.RFC3339), escape.Text(subject(r), 300), escape.Text(r.Justification, 200))
	return err
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
