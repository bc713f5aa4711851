package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/route"
)

// A change of verdict: requests of the past that a table would decide about in
// another way than the one of their time did.
type changed struct {
	Verdict string `json:"verdict"` // "allow" or "block": the new one
	Method  string `json:"method"`
	URL     string `json:"url"` // without a query
	Reason  string `json:"reason"`
	Code    string `json:"code,omitempty"`
	Count   int    `json:"count"`
}

// maxChanges bounds what is told apart; an agent may ask for a million paths.
const maxChanges = 10_000

// replay prints which requests of a log a table would decide about in another way.
func replay(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	from := logFlags(fs)
	of := targetFlags(fs)
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	t, err := tableOrLive(ctx, env, of, fs.Arg(0))
	if err != nil {
		return err
	}
	if err := from.find(env, of.bottle); err != nil {
		return err
	}
	found := map[changed]int{}
	more := 0
	err = from.each(env, time.Now(), func(l *accesslog.Line, a accesslog.Asked) {
		c, differs := verdictChange(t, a)
		if !differs {
			return
		}
		if _, ok := found[c]; !ok && len(found) >= maxChanges {
			more++
			return
		}
		found[c]++
	})
	if err != nil {
		return err
	}
	return printChanges(env, found, more, *asJSON)
}

// verdictChange is what t makes of a in another way than the table of its time.
func verdictChange(t *route.Table, a accesslog.Asked) (c changed, differs bool) {
	d := t.Match(a.Query)
	if d.Allow == a.Allowed {
		return changed{}, false
	}
	e := explanationOf(t, a.Query)
	return changed{Verdict: e.Verdict, Method: a.Query.Method, URL: urlOf(a.Query), Reason: e.Reason, Code: e.Code}, true
}

// urlOf is the URL that q is about.
func urlOf(q route.Query) string {
	host := q.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if q.Scheme == "https" && q.Port != 443 || q.Scheme == "http" && q.Port != 80 {
		host += fmt.Sprintf(":%d", q.Port)
	}
	return q.Scheme + "://" + host + q.Path
}

// printChanges prints the most frequent first; that there are some is the answer
// no.
func printChanges(env *cli.Env, found map[changed]int, more int, asJSON bool) error {
	list := make([]changed, 0, len(found))
	for c, n := range found {
		c.Count = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b changed) int {
		return cmp.Or(cmp.Compare(b.Verdict, a.Verdict), b.Count-a.Count, cmp.Compare(a.URL, b.URL), cmp.Compare(a.Method, b.Method))
	})
	for _, c := range list {
		var err error
		if asJSON {
			err = printJSON(env.Stdout, c)
		} else {
			_, err = fmt.Fprintf(env.Stdout, "%s\t%d\t%s\t%s\t%s\n", c.Verdict, c.Count, escape.Text(c.Method, 0), escape.Text(c.URL, 0), escape.Text(c.Reason, 0))
		}
		if err != nil {
			return err
		}
	}
	if more > 0 {
		note(env, "and %d requests more", more)
	}
	if len(list) > 0 {
		return cli.Exit(cli.No, cli.Silent)
	}
	return nil
}

// tableOrLive is the policy in the file name, or that of a bottle.
func tableOrLive(ctx context.Context, env *cli.Env, of *target, name string) (*route.Table, error) {
	if (of.bottle == "") == (name == "") {
		return nil, cli.Misused("wanted either -bottle NAME or a TABLE")
	}
	if name != "" {
		p, err := readPolicy(env, name)
		return p.table, err
	}
	l, err := served(ctx, env, of)
	return l.t, err
}
