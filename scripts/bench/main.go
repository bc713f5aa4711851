// Bench compares egress-proxy with a direct connection and with other proxies
// that end TLS, side by side in one run on loopback. README.md says how to
// read what it prints.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"bottle/pkg/cli"
)

const usage = `usage: bench [flag ...]

Compare egress-proxy with a direct connection, nginx, squid and mitmdump on
loopback; what is not installed is left out.

  -targets LIST  who takes part (default direct,egress-proxy,nginx,squid,mitmdump);
                 NAME=PROGRAM is another build of egress-proxy
  -cells LIST    what is measured (default all:
                 ka,h2,hs,hsm,down,up,sse,ws,idle,start)
  -rounds N      turns of each target in each cell (default 3)
  -dur D         length of one turn (default 1s)
  -idle N        tunnels of the cell idle (default 1000)
  -base NAME     whom ratios are against (default nginx, else direct)
  -md FILE       write the tables here too; where FILE has the lines
                 <!-- bench --> and <!-- /bench -->, between these
  -json FILE     write every sample here
  -no-ns         no namespace: the name localhost, free ports, no cell hsm

environment: EGRESS_PROXY, NGINX, SQUID, MITMDUMP name a program that is not on
             PATH; egress-proxy is also looked for beside bench itself
exit: 0 done, 2 usage, 3 could not be done, or interrupted
example: bench -targets egress-proxy,old=/srv/old/egress-proxy -base old -cells ka,hs
`

func main() {
	// What is started ends with the thread that started it (prctl(2),
	// PR_SET_PDEATHSIG), which therefore has to be one that lasts.
	runtime.LockOSThread()
	if len(os.Args) > 1 && os.Args[1] == originVerb {
		cli.Main("bench", usage, cli.Verb{Name: originVerb, Run: serveOrigin})
	}
	cli.Main("bench", usage, cli.Verb{Run: compare})
}

// options are the flags; usage says what each means.
type options struct {
	targets, cells []string
	rounds, idle   int
	dur            time.Duration
	base, md, json string
	noNS           bool
}

func parseOptions(env *cli.Env) (*options, error) {
	o := &options{}
	fs := env.Flags()
	targets := fs.String("targets", "direct,egress-proxy,nginx,squid,mitmdump", "")
	names := fs.String("cells", cellNames(), "")
	fs.IntVar(&o.rounds, "rounds", 3, "")
	fs.DurationVar(&o.dur, "dur", time.Second, "")
	fs.IntVar(&o.idle, "idle", 1000, "")
	fs.StringVar(&o.base, "base", "", "")
	fs.StringVar(&o.md, "md", "", "")
	fs.StringVar(&o.json, "json", "", "")
	fs.BoolVar(&o.noNS, "no-ns", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return nil, err
	}
	o.targets, o.cells = strings.Split(*targets, ","), strings.Split(*names, ",")
	for _, c := range o.cells {
		if !slices.Contains(strings.Split(cellNames(), ","), c) {
			return nil, cli.Misused("no cell %q; wanted some of %s", c, cellNames())
		}
	}
	if o.rounds < 1 || o.idle < 1 || o.dur <= 0 {
		return nil, cli.Misused("-rounds, -idle and -dur have to be more than nothing")
	}
	return o, nil
}

// compare is the whole program, outside of the namespace and in it.
func compare(ctx context.Context, env *cli.Env) error {
	o, err := parseOptions(env)
	if err != nil {
		return err
	}
	in := env.Getenv(insideEnv) != ""
	if !in && !o.noNS {
		code, entered, err := inside(ctx, env)
		if entered {
			return cli.Exit(code, cli.Silent)
		}
		fmt.Fprintf(env.Stderr, "no namespace of its own (%v): going on with the name localhost and free ports\n", err)
	}
	raiseFiles()
	w, err := newWorld(in)
	if err != nil {
		if in && w == nil {
			return cli.Exit(notInside, err)
		}
		return err
	}
	defer w.end()
	b := &bench{options: o, world: w, progress: env.Stderr, report: report{Machine: machine(), Base: o.base, Rounds: o.rounds}}
	return b.run(ctx, env.Stdout)
}
