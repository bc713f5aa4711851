package main

import (
	"context"
	"flag"
	"slices"

	"bottle/pkg/cli"
)

// The backends of run.
const (
	backendLocal = "local"
	backendEnv   = "env"
)

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return "" }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// run starts a bottle and waits for its agent.
func run(ctx context.Context, env *cli.Env) error {
	o, err := parseRun(env)
	if err != nil {
		return err
	}
	p, err := makePlan(o, env.Getenv)
	if err != nil {
		return err
	}
	if o.dry {
		return p.print(env.Stdout)
	}
	return start(ctx, env, p)
}

func parseRun(env *cli.Env) (options, error) {
	var o options
	// The flag package stops at an operand, so what follows "--" is cut off first.
	if i := slices.Index(env.Args, "--"); i >= 0 {
		o.command = env.Args[i+1:]
		env.Args = env.Args[:i]
		if len(o.command) == 0 {
			return o, cli.Misused("nothing follows --; wanted the agent's command")
		}
	}
	fs := env.Flags()
	o.flags(fs)
	if err := env.Parse(fs, 0, 1); err != nil {
		return o, err
	}
	o.name = fs.Arg(0)
	if o.backend != backendLocal && o.backend != backendEnv {
		return o, cli.Misused("-backend %s; wanted local or env", o.backend)
	}
	if o.backend == backendEnv && (len(o.readOnly) > 0 || len(o.writable) > 0 || o.force) {
		return o, cli.Misused("-ro, -writable and -force say what a sandbox shows, and -backend env is none")
	}
	return o, nil
}

func (o *options) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.backend, "backend", backendLocal, "")
	fs.StringVar(&o.manifest, "f", "", "")
	fs.StringVar(&o.dir, "dir", "", "")
	fs.Var((*list)(&o.readOnly), "ro", "")
	fs.Var((*list)(&o.writable), "writable", "")
	fs.BoolVar(&o.force, "force", false, "")
	fs.BoolVar(&o.dry, "n", false, "")
}
