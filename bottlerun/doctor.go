package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
)

// doctor says what this machine can do, or what the clients in a bottle can.
func doctor(ctx context.Context, env *cli.Env) error {
	var d diagnosis
	fs := env.Flags()
	d.flags(fs)
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	d.name = fs.Arg(0)
	if d.fixes && d.asJSON {
		return cli.Misused("-fix shows a change of text, and -json objects; wanted one of them")
	}
	if d.ofBottle() {
		return d.tryClients(ctx, env)
	}
	m := examine(ctx, env, d.context)
	for _, f := range m.findings {
		if err := f.print(env.Stdout, d.asJSON); err != nil {
			return err
		}
	}
	if !m.works {
		return cli.Refusedf("no backend works here: neither local nor docker")
	}
	return nil
}

// A diagnosis is the command line of doctor.
type diagnosis struct {
	options
	asJSON, verbose, fixes bool
}

func (d *diagnosis) flags(fs *flag.FlagSet) {
	fs.StringVar(&d.backend, "backend", "", "")
	fs.StringVar(&d.manifest, "f", "", "")
	fs.StringVar(&d.network, "network", "", "")
	fs.StringVar(&d.context, "context", "", "")
	fs.Var((*list)(&d.readOnly), "ro", "")
	fs.BoolVar(&d.asJSON, "json", false, "")
	fs.BoolVar(&d.verbose, "v", false, "")
	fs.BoolVar(&d.fixes, "fix", false, "")
}

// ofBottle tells the clients of a bottle from the machine.
func (d *diagnosis) ofBottle() bool {
	return d.name != "" || d.backend != "" || d.manifest != "" || d.network != "" || d.verbose || d.fixes || d.readOnly != nil
}

// The states of a finding.
const (
	isOK   = "ok"
	lacks  = "lacks"   // something is not there
	saysNo = "says no" // it is there, and refuses
)

// A finding is one thing that was looked at.
type finding struct {
	State string   `json:"state"`
	Thing string   `json:"thing"`
	Found string   `json:"found"`
	Hints []string `json:"hints,omitempty"` // what to do about it; each may have lines
}

func (f finding) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return writeJSON(w, f)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\t%s\t%s\n", f.State, f.Thing, escape.Text(f.Found, 0))
	writeHints(&b, f.Hints)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeHints writes each hint; the lines of one keep together by their indent.
func writeHints(b *strings.Builder, hints []string) {
	for _, h := range hints {
		for i, line := range strings.Split(h, "\n") {
			if i == 0 {
				line = "hint: " + escape.Text(line, 0)
			} else {
				rest := strings.TrimLeft(line, " ")
				line = strings.Repeat(" ", 2+len(line)-len(rest)) + escape.Text(rest, 0)
			}
			b.WriteString(line + "\n")
		}
	}
}

// advised splits an error into what is wrong and its hints.
func advised(err error) (what string, hints []string) {
	text := err.Error()
	parts := strings.Split(text, "\nhint: ")
	return parts[0], parts[1:]
}
