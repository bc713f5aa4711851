package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/report"
	"bottle/pkg/route"
	"bottle/pkg/state"
)

// reportVerb prints a page about what a bottle's agent talked to.
func reportVerb(_ context.Context, env *cli.Env) error {
	flags := env.Flags()
	var logs []string
	flags.Func("log", "", func(s string) error {
		logs = append(logs, s)
		return nil
	})
	since := flags.Duration("since", 0, "")
	if err := env.Parse(flags, 1, 1); err != nil {
		return err
	}
	if *since < 0 {
		return cli.Misused("-since; wanted a positive duration such as 24h")
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, flags.Arg(0))
	if err != nil {
		return cli.Misused("%v", err)
	}
	now := time.Now()
	r := report.New(dir.Name(), now)
	if *since > 0 {
		r.Since = now.Add(-*since)
	}
	if err := reportLogs(env, r, dir, logs); err != nil {
		return err
	}
	if err := reportState(r, dir); err != nil {
		return err
	}
	w := bufio.NewWriter(env.Stdout)
	if err := r.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// reportLogs reads the access logs, the bottle's own unless others are given.
func reportLogs(env *cli.Env, r *report.Report, dir state.Dir, logs []string) error {
	own := len(logs) == 0
	if own {
		logs = []string{dir.AccessLog() + ".1", dir.AccessLog()} // the older one first
	}
	bad, read := 0, 0
	for _, name := range logs {
		n, err := reportLog(env, r, name)
		if own && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		bad += n
		read++
	}
	if read == 0 {
		return cli.Refusedf("no access log of a bottle %q below %s\nhint: 'bottlerun ls' shows the bottles; for one of another machine give 'bottlerun logs %s' with -log -", dir.Name(), dir, dir.Name())
	}
	if bad > 0 {
		r.Note(fmt.Sprintf("%d lines are none of an access log and were left out.", bad))
	}
	return nil
}

func reportLog(env *cli.Env, r *report.Report, name string) (bad int, err error) {
	in := env.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		in = io.Reader(f)
	}
	n, err := r.Read(in)
	return n.Bad, err
}

// reportState reads what else the bottle's folder has: decisions, and the grants
// of its table.
func reportState(r *report.Report, dir state.Dir) error {
	err := r.Decisions(dir.Audit())
	var bad *audit.BadLine
	switch {
	case errors.As(err, &bad):
		r.Note("The audit log is broken at " + bad.Error() + "; decisions from there on are missing.")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	data, err := os.ReadFile(dir.Routes())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its table is elsewhere, or gone
	}
	if err != nil {
		return err
	}
	t, err := route.Parse(dir.Routes(), data)
	if err != nil {
		r.Note("The table of the bottle is not valid; grants are missing.")
		return nil
	}
	status, err := reload.Read(dir.Status())
	if err != nil {
		r.Note("The uses of grants are not known: " + err.Error())
	}
	r.Grants(t, status.Uses)
	return nil
}
