package main

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"time"

	"bottle/pkg/accesslog"
	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// logs are the access logs that the command line names, as they come.
type logs struct {
	files []string
	since time.Duration // 0 is from the beginning
}

// logFlags are those that replay and learn share.
func logFlags(fs *flag.FlagSet) *logs {
	l := &logs{}
	fs.Func("log", "", func(s string) error {
		l.files = append(l.files, s)
		return nil
	})
	fs.DurationVar(&l.since, "since", 0, "")
	return l
}

// find completes l for the bottle slug, whose own log is meant without -log.
func (l *logs) find(env *cli.Env, slug string) error {
	switch {
	case l.since < 0:
		return cli.Misused("-since; wanted a positive duration such as 1h")
	case len(l.files) > 0:
		return nil
	case slug == "":
		return cli.Misused("-log is required; wanted an access log, or - for standard input")
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, slug)
	if err != nil {
		return cli.Misused("-bottle: %v", err)
	}
	for _, name := range []string{dir.AccessLog() + ".1", dir.AccessLog()} { // the older one first
		if _, err := os.Stat(name); err == nil {
			l.files = append(l.files, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(l.files) == 0 {
		return cli.Refusedf("the bottle %s has no access log on this machine\nhint: 'bottlerun logs' prints that of a container; give it with -log -", slug)
	}
	return nil
}

// each calls fn with what the table had to decide about each exchange of the logs,
// as if it were asked at the time now, and says what of them could not be read.
func (l *logs) each(env *cli.Env, now time.Time, fn func(*accesslog.Line, accesslog.Asked)) error {
	var bad, unclear int
	for _, name := range l.files {
		n, err := l.one(env, name, func(line *accesslog.Line) error {
			if l.since > 0 {
				at, err := line.When()
				if err != nil {
					unclear++
					return nil
				}
				if at.Before(now.Add(-l.since)) {
					return nil
				}
			}
			if line.Verdict == "introspect" {
				return nil
			}
			asked, ok := line.Asked(now)
			if !ok {
				unclear++
				return nil
			}
			fn(line, asked)
			return nil
		})
		if err != nil {
			return err
		}
		bad += n.Bad
	}
	if bad > 0 {
		note(env, "%d lines are none of an access log and were left out", bad)
	}
	if unclear > 0 {
		note(env, "%d exchanges were left out: no table decided about them, or the log does not have all that was asked", unclear)
	}
	return nil
}

func (l *logs) one(env *cli.Env, name string, fn func(*accesslog.Line) error) (accesslog.Count, error) {
	if name == "-" {
		return accesslog.Read(env.Stdin, fn)
	}
	f, err := os.Open(name)
	if err != nil {
		return accesslog.Count{}, err
	}
	defer f.Close()
	return accesslog.Read(f, fn)
}
