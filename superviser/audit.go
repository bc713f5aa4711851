package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/state"
)

// auditVerb prints the audit logs, or only follows their chains: one log when it
// is named, else those of all bottles, running or not.
func auditVerb(_ context.Context, env *cli.Env) error {
	var at place
	flags := env.Flags()
	at.addFlags(flags)
	at.addAudit(flags)
	all := flags.Bool("all", false, "")
	verify := flags.Bool("verify", false, "")
	asJSON := flags.Bool("json", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	if at.bottle == "" && at.queue == "" && at.audit == "" {
		return eachAudit(env, *verify, *asJSON)
	}
	if *all {
		return cli.Misused("-all and the name of one log; wanted one of them")
	}
	if at.audit == "" || at.bottle != "" || at.queue != "" {
		if err := at.findFiles(env); err != nil {
			return err
		}
	}
	return auditAnswer(readAudit(env, "", at.audit, *verify, *asJSON), at.audit)
}

func auditAnswer(err error, path string) error {
	var bad *audit.BadLine
	if errors.As(err, &bad) {
		return cli.Refused(err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Refusedf("%s: no decision was written yet", path)
	}
	return err
}

// eachAudit reads the logs of all bottles that have one. A bad one does not keep
// the others from being read; the worst answer is the answer.
func eachAudit(env *cli.Env, verify, asJSON bool) error {
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	logs, err := filepath.Glob(filepath.Join(escapeGlob(root), "*", filepath.Base(state.Dir("").Audit())))
	if err != nil {
		return err
	}
	var worst error
	for _, path := range logs {
		name := filepath.Base(filepath.Dir(path))
		if state.ValidSlug(name) != nil {
			continue
		}
		if err := auditAnswer(readAudit(env, name, path, verify, asJSON), path); err != nil {
			worst = errors.Join(worst, err)
		}
	}
	return worst
}

// escapeGlob has filepath.Glob take path as it is.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// readAudit prints one log. The bottle's name is "" for one that was named.
func readAudit(env *cli.Env, bottle, path string, verify, asJSON bool) error {
	if verify {
		sum, err := audit.Verify(path)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env, struct {
				Bottle string `json:"bottle,omitempty"`
				audit.Summary
			}{bottle, sum})
		}
		if bottle != "" {
			bottle += "\t"
		}
		_, err = fmt.Fprintf(env.Stdout, "%s%d\t%s\n", bottle, sum.Lines, sum.Head)
		return err
	}
	return audit.Each(path, func(line []byte, e audit.Entry) error {
		if asJSON {
			_, err := env.Stdout.Write(append(escape.JSON(line), '\n'))
			return err
		}
		_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.UTC().Format(time.RFC3339),
			or(escape.Text(e.Bottle, 80), "-"), escape.Text(e.Operator, 100), escape.Text(e.Component, 40), escape.Text(e.Proposal, 40), escape.Text(e.Decision, 40), escape.Text(e.Reason, 300))
		return err
	})
}
