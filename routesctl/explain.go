package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/mirror"
	"bottle/pkg/route"
)

// An explanation is what becomes of a request, and why. Of several layers all
// must let it pass.
type explanation struct {
	Verdict string `json:"verdict"`           // "allow" or "block": egress-proxy's, as in the access log
	Code    string `json:"code,omitempty"`    // of a block
	Route   string `json:"route,omitempty"`   // the host of the route that decides
	Nearest string `json:"nearest,omitempty"` // the one that may have been meant, when none decides
	Reason  string `json:"reason"`            // the sentence of the proxy's answer and log

	Expires *time.Time `json:"expires,omitempty"` // of the route
	EndsIn  string     `json:"ends_in,omitempty"` // time left until then
	MaxUses int        `json:"max_uses,omitempty"`
	Uses    int64      `json:"uses,omitempty"`

	Pipelock *mirror.Decision `json:"pipelock,omitempty"` // of a bottle that has one
	Proposal *route.Proposal  `json:"proposal,omitempty"` // the narrowest that would let it pass
	Command  string           `json:"command,omitempty"`  // that merges it
}

// explain prints which route of a table, a manifest or a running bottle decides
// about a request, and why; of a block, how it would pass.
func explain(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	asJSON := fs.Bool("json", false, "")
	of := targetFlags(fs)
	if err := env.Parse(fs, 2, 3); err != nil {
		return err
	}
	request := fs.Args()
	if len(request) == 3 {
		request = request[1:]
	}
	if (of.bottle == "") != (fs.NArg() == 3) {
		return cli.Misused("wanted either -bottle NAME or a FILE, then METHOD URL")
	}
	q, err := route.NewQuery(request[0], request[1], time.Now())
	if err != nil {
		return cli.Misused("%v", err)
	}
	var e explanation
	if of.bottle != "" {
		e, err = explainLive(ctx, env, of, q)
	} else {
		e, err = explainFile(env, fs.Arg(0), q)
	}
	if err != nil {
		return err
	}
	return e.print(env, *asJSON)
}

func explainFile(env *cli.Env, name string, q route.Query) (explanation, error) {
	p, err := readPolicy(env, name)
	if err != nil {
		return explanation{}, err
	}
	e := explanationOf(p.table, q)
	if e.Proposal != nil && !p.manifest && e.renewal() == "" && name != "-" { // merge renews nothing
		e.Command = e.pipe("routesctl merge " + shellWord(name) + " -")
	}
	return e, nil
}

func explainLive(ctx context.Context, env *cli.Env, of *target, q route.Query) (explanation, error) {
	l, err := served(ctx, env, of)
	if err != nil {
		return explanation{}, err
	}
	q.Uses = l.status.Uses
	e := explanationOf(l.t, q)
	if e.Proposal != nil {
		e.Command = e.pipe("routesctl add " + of.String() + e.renewal())
	}
	e.Pipelock, err = pipelockOf(ctx, l.b, q.Host)
	return e, err
}

// pipelockOf is what the pipelock of b makes of a host, nil when b has none.
func pipelockOf(ctx context.Context, b *live, host string) (*mirror.Decision, error) {
	config, file, err := b.pipelock(ctx)
	if err != nil || file == "" {
		return nil, err
	}
	d, err := mirror.Decide(file, config, host)
	return &d, err
}

func explanationOf(t *route.Table, q route.Query) explanation {
	d := t.Match(q)
	e := explanation{Verdict: "block", Code: d.Code, Reason: d.Reason}
	if r := d.Route; r != nil {
		e.Route, e.MaxUses, e.Uses = r.Host, r.MaxUses, q.Uses[r.Host]
		if !r.Expires.IsZero() {
			e.Expires, e.EndsIn = &r.Expires, left(r.Expires, q.Now)
		}
	}
	if d.Nearest != nil {
		e.Nearest = d.Nearest.Host
	}
	if d.Allow {
		e.Verdict, e.Reason = "allow", "route '"+e.Route+"' allows it"
	}
	if p, ok := route.Cure(t, q); ok {
		e.Proposal = &p
	}
	return e
}

// left is the time until a route ends, in whole seconds; "0s" when it has.
func left(end, now time.Time) string { return max(0, end.Sub(now)).Truncate(time.Second).String() }

// renewal are the flags that grant again what has ended, as it was granted.
func (e *explanation) renewal() string {
	switch e.Code {
	case route.RouteExpired:
		return " -for 1h"
	case route.RouteUsedUp:
		return fmt.Sprintf(" -uses %d", e.MaxUses)
	}
	return ""
}

// pipe is a shell's line that hands the proposal to a command.
func (e *explanation) pipe(command string) string {
	p, err := json.Marshal(e.Proposal)
	if err != nil {
		panic(err) // strings and lists of them
	}
	return "printf '%s\\n' " + shellWord(string(escape.JSON(p))) + " | " + command
}

// shellWord is s as one word of a POSIX shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// print prints e; a block by any layer is the answer "no".
func (e *explanation) print(env *cli.Env, asJSON bool) error {
	var err error
	if asJSON {
		err = printJSON(env.Stdout, e)
	} else {
		_, err = io.WriteString(env.Stdout, e.text())
	}
	if err == nil && (e.Verdict == "block" || e.Pipelock != nil && !e.Pipelock.Allow) {
		return cli.Exit(cli.No, cli.Silent)
	}
	return err
}

// text is e as lines of fields with tabs between them; the first is egress-proxy's
// decision, of the others there are as many as there is to say.
func (e *explanation) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%s\n", e.Verdict, dash(e.Code), dash(e.Route), dash(e.Nearest), e.Reason)
	if e.Expires != nil {
		fmt.Fprintf(&b, "expires\t%s\tin %s\n", e.Expires.Format(time.RFC3339), e.EndsIn)
	}
	if e.MaxUses > 0 {
		fmt.Fprintf(&b, "uses\t%d of %d\n", e.Uses, e.MaxUses)
	}
	if p := e.Pipelock; p != nil {
		fmt.Fprintf(&b, "pipelock\t%s\n", pipelockText(*p))
	}
	if e.Command != "" {
		fmt.Fprintf(&b, "command\t%s\n", e.Command)
	}
	return b.String()
}

func pipelockText(d mirror.Decision) string {
	verdict, entry, why := "allow", dash(escape.Text(d.Entry, 0)), "on its api_allowlist"
	switch {
	case !d.Allow:
		verdict, why = "block", "not on its api_allowlist"
	case d.Entry == "":
		why = "its mode " + escape.Text(d.Mode, 0) + " enforces no allowlist"
	}
	switch {
	case d.Passthrough != "":
		why += ", passed through unseen by " + escape.Text(d.Passthrough, 0)
	case d.Seen:
		why += ", its content is scanned"
	default:
		why += ", its TLS is not ended"
	}
	return verdict + "\t" + entry + "\t" + why
}

// dash keeps a field of a record from being empty.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
