package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/route"
	"bottle/pkg/state"
)

// past is a table that a bottle has had.
type past struct {
	Generation uint64     `json:"generation"`         // of the proxy that took it up
	Time       *time.Time `json:"time,omitempty"`     // absent: it was there before the first change, or came from elsewhere
	Operator   string     `json:"operator,omitempty"` //
	Change     string     `json:"change"`             // from the table before, in one line
	Reason     string     `json:"reason,omitempty"`
	Run        string     `json:"run,omitempty"` // which run of the bottle
	Table      string     `json:"table"`
}

// history prints the tables that a bottle has had, oldest first, from the audit
// log of this machine.
func history(_ context.Context, env *cli.Env) error {
	flags := env.Flags()
	of := targetFlags(flags)
	asJSON := flags.Bool("json", false, "")
	if err := env.Parse(flags, 0, 0); err != nil {
		return err
	}
	if of.bottle == "" {
		return cli.Misused("-bottle is required")
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, of.bottle)
	if err != nil {
		return cli.Misused("-bottle: %v", err)
	}
	list, err := pastOf(dir)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, p := range list {
		if *asJSON {
			err = printJSON(&b, p)
		} else {
			_, err = b.WriteString(p.line())
		}
		if err != nil {
			return err
		}
	}
	_, err = env.Stdout.Write(b.Bytes())
	return err
}

// line is p as history prints it.
func (p past) line() string {
	at := "-"
	if p.Time != nil {
		at = p.Time.UTC().Format(time.RFC3339)
	}
	what := p.Change
	if p.Reason != "" {
		what = p.Reason + ": " + what
	}
	return fmt.Sprintf("%d\t%s\t%s\t%s\n", p.Generation, at, dash(escape.Text(p.Operator, 0)), escape.Text(what, 0))
}

// pastOf reads the tables of the audit log. A table that a change found, and that
// the change before had not left, is told too.
func pastOf(dir state.Dir) ([]past, error) {
	var list []past
	var last past
	err := audit.Each(dir.Audit(), func(_ []byte, e audit.Entry) error {
		if e.Component != "egress-proxy" || e.Decision != "applied" || e.Run == "" {
			return nil
		}
		if e.Run != last.Run {
			list = append(list, past{Generation: e.Was, Change: "as it was started", Run: e.Run, Table: e.Before})
		} else if e.Before != last.Table {
			list = append(list, past{Generation: e.Was, Change: "changed from elsewhere", Run: e.Run, Table: e.Before})
		}
		at := e.Time
		last = past{e.Generation, &at, e.Operator, changeOf(e.Before, e.After), e.Reason, e.Run, e.After}
		list = append(list, last)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.Refusedf("no change of bottle %q is on record in %s", dir.Name(), dir.Audit())
	}
	return list, err
}

// changeOf is the difference of two tables in one line.
func changeOf(before, after string) string {
	was, err1 := route.Parse("before", []byte(before))
	is, err2 := route.Parse("after", []byte(after))
	if err1 != nil || err2 != nil {
		return "a table that this program does not understand"
	}
	const most = 3
	var parts []string
	diff := route.Diff(was, is)
	for _, d := range diff[:min(most, len(diff))] {
		parts = append(parts, d.Text)
	}
	if n := len(diff) - most; n > 0 {
		parts = append(parts, fmt.Sprintf("%d more", n))
	}
	if len(parts) == 0 {
		return "no route differs"
	}
	return strings.Join(parts, "; ")
}
