package main

import (
	"context"
	"flag"
	"slices"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
)

// The backends of run.
const (
	backendLocal = "local"
	backendEnv   = "env"

	backendDocker = bottles.Docker
)

// The networks of an agent's container: none, or one with egress-proxy alone.
const (
	networkNone   = "none"
	networkBridge = "bridge"
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
		return p.print(env)
	}
	if p.back, err = openBackground(o); err != nil {
		return err
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
	return o, nil
}

// findBackend is the flag's, else the manifest's, else local.
func (p *plan) findBackend(o options) error {
	for _, b := range []string{backendLocal, p.manifest.Backend, o.backend} {
		if b != "" {
			p.backend = b
		}
	}
	o.backend = p.backend
	return o.check()
}

// check says what of the flags does not go together.
func (o *options) check() error {
	docks := o.network != "" || o.bind || o.context != ""
	switch {
	case o.backend != backendLocal && o.backend != backendEnv && o.backend != backendDocker:
		return cli.Misused("-backend %s; wanted local, docker or env", o.backend)
	case docks && o.backend != backendDocker:
		return cli.Misused("-network, -bind and -context are of the backend docker, and this is %s", o.backend)
	case o.network != "" && o.network != networkNone && o.network != networkBridge:
		return cli.Misused("-network %s; wanted none or bridge", o.network)
	case o.backend == backendDocker && len(o.readOnly) > 0:
		return cli.Misused("-ro shows files of this machine, and a container has its image's; wanted them in the image or the workspace")
	}
	if o.backend == backendEnv && (len(o.readOnly) > 0 || len(o.writable) > 0 || o.force) {
		return cli.Misused("-ro, -writable and -force say what a sandbox shows, and -backend env is none")
	}
	return nil
}

func (o *options) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.backend, "backend", "", "")
	fs.StringVar(&o.manifest, "f", "", "")
	fs.StringVar(&o.dir, "dir", "", "")
	fs.Var((*list)(&o.readOnly), "ro", "")
	fs.Var((*list)(&o.writable), "writable", "")
	fs.StringVar(&o.network, "network", "", "")
	fs.StringVar(&o.context, "context", "", "")
	fs.BoolVar(&o.bind, "bind", false, "")
	fs.BoolVar(&o.force, "force", false, "")
	fs.BoolVar(&o.dry, "n", false, "")
	fs.StringVar(&o.output, "output", "", "")
	fs.IntVar(&o.ready, "ready", 0, "")
}
