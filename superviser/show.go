package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
)

// show prints one proposal and what it would change, and notes for approve what
// the operator has seen.
func show(ctx context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	at.addFlags(fs)
	asJSON := fs.Bool("json", false, "")
	bare := fs.Bool("proposal", false, "")
	id, err := at.locate(ctx, env, fs)
	if err != nil {
		return err
	}
	q, err := at.open(ctx)
	if err != nil {
		return err
	}
	defer q.Close()
	r, err := get(q, id)
	if err != nil {
		return err
	}
	if *bare {
		_, err := fmt.Fprintf(env.Stdout, "%s\n", escape.JSON(r.Proposal))
		return err
	}
	v, err := look(ctx, env, &at, r)
	if err != nil {
		return err
	}
	if *asJSON {
		err = printJSON(env, v)
	} else {
		_, err = io.WriteString(env.Stdout, v.text())
	}
	if err != nil || v.Digest == "" {
		return err
	}
	return noteShown(at.dir, v)
}

// look compares a pending proposal with what the bottle has. Without a bottle,
// and of a decided one, there is nothing to compare.
func look(ctx context.Context, env *cli.Env, at *place, r proposal.Record) (view, error) {
	if at.bottle == "" || r.Decision != nil {
		return view{Record: r}, nil
	}
	c, err := componentOf(r)
	if err != nil {
		return view{}, err
	}
	return c.look(ctx, env, at, r)
}

// text is v as lines of a key, a tab and a value.
func (v view) text() string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s\t%s\n", key, escape.Text(value, 0)) }
	line("proposal", v.ID)
	line("state", v.State())
	line("component", v.Component)
	line("filed", v.Filed.UTC().Format(time.RFC3339))
	if v.Client != "" {
		line("client", v.Client)
	}
	if p, err := v.Route(); err == nil {
		routeLines(line, p)
	} else if text, err := v.Dockerfile(); err == nil {
		for l := range strings.Lines(text) {
			line("dockerfile", strings.TrimSuffix(l, "\n"))
		}
	} else {
		line("content", string(v.Record.Proposal))
	}
	line("justification", v.Justification)
	if d := v.Decision; d != nil {
		line("decided", d.Time.UTC().Format(time.RFC3339)+" by "+d.Operator)
		line("reason", d.Reason)
	}
	for _, c := range v.Changes {
		line("change", c.Text)
	}
	if v.Level != "" {
		line("level", v.Level)
	}
	for _, s := range v.Risks {
		line("risk", s)
	}
	if v.Digest != "" {
		line("digest", v.Digest)
	}
	return b.String()
}

func routeLines(line func(key, value string), p route.Proposal) {
	line("host", p.Host)
	line("paths", strings.TrimPrefix(words("path", p.PathAllowlist), "paths "))
	line("methods", strings.TrimPrefix(words("method", p.Methods), "methods "))
	if p.Auth != nil {
		line("credential", p.Auth.Scheme+" from your variable "+p.Auth.TokenRef)
	}
}
