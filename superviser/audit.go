package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
)

// auditVerb prints the audit log, or only follows its chain.
func auditVerb(_ context.Context, env *cli.Env) error {
	var at place
	flags := env.Flags()
	at.addFlags(flags)
	at.addAudit(flags)
	verify := flags.Bool("verify", false, "")
	asJSON := flags.Bool("json", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	if at.audit == "" || at.bottle != "" || at.queue != "" {
		if err := at.find(env); err != nil {
			return err
		}
	}
	err := readAudit(env, at.audit, *verify, *asJSON)
	var bad *audit.BadLine
	if errors.As(err, &bad) {
		return cli.Refused(err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Refusedf("%s: no decision was written yet", at.audit)
	}
	return err
}

func readAudit(env *cli.Env, path string, verify, asJSON bool) error {
	if verify {
		sum, err := audit.Verify(path)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env, sum)
		}
		_, err = fmt.Fprintf(env.Stdout, "%d\t%s\n", sum.Lines, sum.Head)
		return err
	}
	return audit.Each(path, func(line []byte, e audit.Entry) error {
		if asJSON {
			_, err := env.Stdout.Write(append(escape.JSON(line), '\n'))
			return err
		}
		_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.UTC().Format(time.RFC3339),
			escape.Text(e.Operator, 100), escape.Text(e.Component, 40), escape.Text(e.Proposal, 40), escape.Text(e.Decision, 40), escape.Text(e.Reason, 300))
		return err
	})
}
