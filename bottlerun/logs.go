package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// logParts are the parts that have a log.
var logParts = []string{roleAgent, roleProxy, roleSuper, rolePipelock}

// logs prints what the agent asked for, or what a part says.
func logs(ctx context.Context, env *cli.Env) error {
	flags := env.Flags()
	follow := flags.Bool("f", false, "")
	where := flags.String("context", "", "")
	if err := env.Parse(flags, 1, 2); err != nil {
		return err
	}
	slug, part := flags.Arg(0), flags.Arg(1)
	if part != "" && !slices.Contains(logParts, part) {
		return cli.Misused("no part %q; wanted one of %s", part, strings.Join(logParts, ", "))
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	dir, err := state.At(root, slug)
	if err != nil {
		return cli.Misused("%v", err)
	}
	file := dir.AccessLog()
	if part != "" {
		file = dir.Log(part)
	}
	if f, err := os.Open(file); err == nil && *where == "" {
		defer f.Close()
		return tail(ctx, env.Stdout, f, file, *follow && dir.Running(), dir.Running)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return engineLogs(ctx, env, *where, slug, part, *follow)
}

// engineLogs is for a bottle that was started on another machine.
func engineLogs(ctx context.Context, env *cli.Env, where, slug, part string, follow bool) error {
	b, err := findBottle(ctx, env, where, slug)
	if err == nil && b.Engine == nil {
		err = cli.Refusedf("bottle %s has no such log", slug)
	}
	if err != nil && part == roleAgent {
		err = fmt.Errorf("%w\nhint: only the output of an agent in the background is kept; see 'bottlerun start -h'", err)
	}
	if err != nil {
		return err
	}
	role := part
	if part == "" {
		role = roleProxy
	}
	id, err := b.Part(role)
	if err != nil {
		return cli.Refused(err)
	}
	args := []string{"logs"}
	if follow {
		args = append(args, "--follow")
	}
	cmd := b.Engine.Command(ctx, append(args, id)...)
	cmd.Stdout = env.Stdout // requests
	switch part {
	case "":
	case roleAgent:
		cmd.Stderr = env.Stdout
	default:
		cmd.Stdout, cmd.Stderr = io.Discard, env.Stdout // diagnostics
	}
	return cmd.Run()
}

// tail copies f, and with follow what is written to path after it, also once
// that is another file, until the bottle has ended.
func tail(ctx context.Context, w io.Writer, f *os.File, path string, follow bool, running func() bool) error {
	for {
		last := !follow || !running()
		if _, err := io.Copy(w, f); err != nil || last {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
		if next, ok := replaced(f, path); ok {
			_, err := io.Copy(w, f)
			f.Close()
			if f = next; err != nil {
				return err
			}
			defer f.Close()
		}
	}
}

// replaced opens path when it is another file than f by now.
func replaced(f *os.File, path string) (*os.File, bool) {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || inode(a) == inode(b) {
		return nil, false
	}
	next, err := os.Open(path)
	return next, err == nil
}

func inode(fi os.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
