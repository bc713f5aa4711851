package main

import (
	"context"
	"fmt"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// An explanation is what becomes of a request, and why.
type explanation struct {
	Verdict string `json:"verdict"`           // "allow" or "block", as in the access log
	Code    string `json:"code,omitempty"`    // of a block
	Route   string `json:"route,omitempty"`   // the host of the route that decides
	Nearest string `json:"nearest,omitempty"` // the one that may have been meant, when none decides
	Reason  string `json:"reason"`            // the sentence of the proxy's answer and log
}

// explain prints which route of a table, or of a running bottle's, decides about
// a request, and why.
func explain(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	slug := fs.String("bottle", "", "")
	if err := env.Parse(fs, 2, 3); err != nil {
		return err
	}
	request := fs.Args()
	if len(request) == 3 {
		request = request[1:]
	}
	if (*slug == "") != (fs.NArg() == 3) {
		return cli.Misused("wanted either -bottle NAME or a FILE, then METHOD URL")
	}
	q, err := route.NewQuery(request[0], request[1], time.Now())
	if err != nil {
		return cli.Misused("%v", err)
	}
	var t *route.Table
	if *slug != "" {
		var l liveTable
		l, err = served(ctx, env, *slug)
		t, q.Uses = l.t, l.status.Uses
	} else {
		t, err = readTable(env, fs.Arg(0))
	}
	if err != nil {
		return err
	}
	return printExplanation(env, explanationOf(t.Match(q)), *asJSON)
}

func explanationOf(d route.Decision) explanation {
	e := explanation{Verdict: "block", Code: d.Code, Reason: d.Reason}
	if d.Route != nil {
		e.Route = d.Route.Host
	}
	if d.Nearest != nil {
		e.Nearest = d.Nearest.Host
	}
	if d.Allow {
		e.Verdict, e.Reason = "allow", "route '"+e.Route+"' allows it"
	}
	return e
}

// printExplanation prints e; a block is the answer "no".
func printExplanation(env *cli.Env, e explanation, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(env.Stdout, e)
	} else {
		_, err = fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\n", e.Verdict, dash(e.Code), dash(e.Route), dash(e.Nearest), e.Reason)
	}
	if err == nil && e.Verdict == "block" {
		return cli.Exit(cli.No, cli.Silent)
	}
	return err
}

// dash keeps a field of a record from being empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
