// Benchbottle measures what a bottle costs: how long it takes to run a command
// that does nothing, and the memory of one that runs. docs/bench.md says how to
// read what it prints.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"bottle/pkg/cli"
	"bottle/scripts/bench/marked"
)

const usage = `usage: benchbottle [flag ...]

Measure the start of bottles: 'bottlerun run -- true' of the local backend, its
processor time, the memory of a bottle that runs, and, where docker reaches an
engine, how long its backend takes until the agent runs.

  -bin LIST   folders with the programs (default that of benchbottle); they
              take turns, the first is what the others are compared with
  -n N        runs of each (default 40)
  -docker N   runs with docker (default 5; 0 for none)
  -work DIR   where the workspace is made (default the folder for temporary
              files; its file system is part of the figures)
  -md FILE    write the table here too; where FILE has the lines
              <!-- bottle --> and <!-- /bottle -->, between these

exit: 0 done, 2 usage, 3 could not be done
example: benchbottle -bin bin,/srv/old/bin -n 100 -docker 0
`

func main() { cli.Main("benchbottle", usage, cli.Verb{Run: measure}) }

// options are the flags; usage says what each means.
type options struct {
	bins      []string
	runs      int
	docker    int
	work, md  string
	home, dir string // of all that the bottles leave
}

func parseOptions(env *cli.Env) (*options, error) {
	o := &options{}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fs := env.Flags()
	bins := fs.String("bin", filepath.Dir(self), "")
	fs.IntVar(&o.runs, "n", 40, "")
	fs.IntVar(&o.docker, "docker", 5, "")
	fs.StringVar(&o.work, "work", "", "")
	fs.StringVar(&o.md, "md", "", "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return nil, err
	}
	if o.runs < 1 || o.runs > 10_000 || o.docker < 0 || o.docker > 100 {
		return nil, cli.Misused("-n is 1 to 10000, and -docker 0 to 100")
	}
	for _, dir := range strings.Split(*bins, ",") {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(abs, "bottlerun")); err != nil {
			return nil, cli.Misused("-bin %s: %v", dir, err)
		}
		o.bins = append(o.bins, abs)
	}
	return o, nil
}

// measure is the whole program.
func measure(ctx context.Context, env *cli.Env) error {
	o, err := parseOptions(env)
	if err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.work, "benchbottle-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	if o.home, err = os.MkdirTemp("", "benchbottle-home-"); err != nil {
		return err
	}
	defer os.RemoveAll(o.home)
	var b strings.Builder
	fmt.Fprintf(&b, "| what | figure | least | median | p90 |\n|---|---|---:|---:|---:|\n")
	if err := o.starts(ctx, &b); err != nil {
		return err
	}
	left, err := o.dockers(ctx, &b)
	if err != nil {
		return err
	}
	if err := o.memories(ctx, &b); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n%s\n", left+machine())
	if _, err := io.WriteString(env.Stdout, b.String()); err != nil || o.md == "" {
		return err
	}
	return marked.Write(o.md, "bottle", b.String())
}

// machine is a description without names, with how busy it is.
func machine() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	load, _ := os.ReadFile("/proc/loadavg")
	now, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d cores, Linux %s, %s, uid %d; load average at the end %s.", runtime.NumCPU(), kernel, runtime.Version(), os.Geteuid(), now)
}
