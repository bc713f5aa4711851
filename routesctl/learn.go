package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/learn"
	"bottle/pkg/route"
)

// A lesson is one run of learn.
type lesson struct {
	env                   *cli.Env
	base                  *route.Table
	from                  *logs
	refused, used, narrow bool
	diff, proposals, json bool
}

// learnVerb proposes routes for what a log has, or to take away what it lacks.
func learnVerb(ctx context.Context, env *cli.Env) error {
	l := lesson{env: env}
	fs := env.Flags()
	l.from = logFlags(fs)
	of := targetFlags(fs)
	fs.BoolVar(&l.refused, "refused", false, "")
	fs.BoolVar(&l.used, "used", false, "")
	fs.BoolVar(&l.narrow, "narrow", false, "")
	fs.BoolVar(&l.diff, "diff", false, "")
	fs.BoolVar(&l.proposals, "proposals", false, "")
	fs.BoolVar(&l.json, "json", false, "")
	err := env.Parse(fs, 0, 1)
	if err != nil {
		return err
	}
	if err := l.check(); err != nil {
		return err
	}
	if of.bottle == "" && fs.Arg(0) == "" && !l.narrow {
		l.base, err = route.New(nil)
	} else {
		l.base, err = tableOrLive(ctx, env, of, fs.Arg(0))
	}
	if err != nil {
		return err
	}
	if err := l.from.find(env, of.bottle); err != nil {
		return err
	}
	if l.narrow {
		return l.less()
	}
	return l.more()
}

func (l *lesson) check() error {
	chosen := 0
	for _, is := range []bool{l.diff, l.proposals, l.json} {
		if is {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return cli.Misused("wanted one of -diff, -proposals and -json, or none for the table")
	case l.narrow && (l.refused || l.used || l.proposals):
		return cli.Misused("-narrow takes away what was not used; -refused, -used and -proposals add")
	}
	if !l.refused && !l.used {
		l.refused, l.used = true, true
	}
	return nil
}

// more learns what the table does not allow yet.
func (l *lesson) more() error {
	set := learn.New()
	err := l.from.each(l.env, time.Now(), func(_ *accesslog.Line, a accesslog.Asked) {
		if a.Allowed && !l.used || !a.Allowed && !l.refused || l.base.Match(a.Query).Allow {
			return
		}
		set.Add(a.Query)
	})
	if err != nil {
		return err
	}
	learned := set.Routes()
	next, left, err := learn.Merge(l.base, learned)
	if err != nil {
		return refuse(l.env, err)
	}
	if l.proposals {
		err = l.propose(learned, left)
	} else {
		err = l.print(next)
	}
	if err != nil {
		return err
	}
	for _, host := range slices.Sorted(maps.Keys(left)) {
		note(l.env, "left out: %s: %s", host, left[host])
	}
	l.tell(set.LeftOut())
	return nil
}

// tell says what nothing was learned from.
func (l *lesson) tell(left map[learn.Left]int) {
	list := slices.SortedFunc(maps.Keys(left), func(a, b learn.Left) int {
		return cmp.Or(left[b]-left[a], strings.Compare(a.Host, b.Host), strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	const shown = 20
	for i, what := range list {
		if i == shown {
			note(l.env, "left out: %d more", len(list)-shown)
			return
		}
		note(l.env, "left out, asked for %d times: %s %s%s: %s", left[what], escape.Text(what.Method, 0), what.Host, escape.Text(what.Path, 0), what.Why)
	}
}

// less proposes the table without what was never used.
func (l *lesson) less() error {
	use, seen := learn.NewUse(l.base), false
	err := l.from.each(l.env, time.Now(), func(_ *accesslog.Line, a accesslog.Asked) {
		if a.Allowed {
			use.Add(a.Query)
			seen = true
		}
	})
	if err != nil {
		return err
	}
	if !seen {
		return cli.Refused(errors.New("the log has no request that was let through; a table without any route is nothing to learn from it"))
	}
	next, err := use.Narrowed()
	if err != nil {
		return refuse(l.env, err)
	}
	return l.print(next)
}

// print prints the table, or what changes to it.
func (l *lesson) print(next *route.Table) error {
	if !l.diff && !l.json {
		_, err := l.env.Stdout.Write(next.Encode())
		return err
	}
	var b strings.Builder
	for _, c := range route.Diff(l.base, next) {
		if !l.json {
			fmt.Fprintln(&b, c.Text)
		} else if err := printJSON(&b, c); err != nil {
			return err
		}
	}
	_, err := io.WriteString(l.env.Stdout, b.String())
	return err
}

// propose prints one proposal a line, as add takes it. A port is no matter of
// proposals, and neither is a route of its own beside a wildcard.
func (l *lesson) propose(learned []learn.Route, left map[string]string) error {
	var b strings.Builder
	for _, r := range learned {
		was := l.base.Lookup(r.Host)
		switch {
		case left[r.Host] != "":
			continue
		case r.Ports != nil:
			left[r.Host] = "a proposal cannot have its ports " + strings.Trim(fmt.Sprint(r.Ports), "[]")
			continue
		case was != nil && was.Host != r.Host:
			left[r.Host] = "a proposal would take the place of what the wildcard " + was.Host + " allows there; use the table"
			continue
		}
		if err := printJSON(&b, route.Proposal{Host: r.Host, PathAllowlist: r.PathAllowlist, Methods: r.Methods}); err != nil {
			return err
		}
	}
	_, err := io.WriteString(l.env.Stdout, b.String())
	return err
}
