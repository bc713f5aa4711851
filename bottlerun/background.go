package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"bottle/pkg/accesslog"
	"bottle/pkg/cli"

	"golang.org/x/sys/unix"
)

// startVerb starts a bottle that outlives this command: run, in a session of its
// own, whose agent has no input and prints into a file.
func startVerb(ctx context.Context, env *cli.Env) error {
	args := slices.Clone(env.Args)
	o, err := parseRun(env)
	if err != nil {
		return err
	}
	if o.ready != 0 {
		return cli.Misused("-ready is for who starts run; start waits by itself")
	}
	p, err := makePlan(o, env.Getenv)
	if err != nil {
		return err
	}
	if o.dry {
		return p.print(env)
	}
	if err := p.dir.Make(); err != nil {
		return err
	}
	inner := []string{"run", "-ready", "3"}
	if o.output == "" {
		inner = append(inner, "-output", p.dir.Log(roleAgent))
	}
	return launch(ctx, env, append(inner, args...))
}

// launch runs this program with args, and returns once it says that the agent
// runs, or has ended: then with its exit code. What it has to say until then it
// says itself, on our standard error.
func launch(ctx context.Context, env *cli.Env, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ready, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	// Whoever called us may wait for the end of a pipe, or hold a lock, by a descriptor
	// that we have inherited.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	cmd := &exec.Cmd{Path: self, Args: append([]string{os.Args[0]}, args...)}
	cmd.Stderr, cmd.ExtraFiles = env.Stderr, []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the end of our terminal is not its end
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return cmd.Process.Release()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return cli.Exit(exit.ExitCode(), cli.Silent)
	}
	if err == nil {
		err = errors.New("the launcher ended without a word")
	}
	return err
}

// checkOutput refuses a file in the workspace: the agent could put a link in its place,
// and we would write where that leads.
func (p *plan) checkOutput(o options) error {
	if o.output == "" || p.backend == backendEnv {
		return nil
	}
	abs, err := filepath.Abs(o.output)
	if err != nil {
		return err
	}
	places := []string{abs}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		places = append(places, filepath.Join(dir, filepath.Base(abs)))
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		places = append(places, real)
	}
	for _, path := range places {
		if rel, err := filepath.Rel(p.work, path); err == nil && filepath.IsLocal(rel) {
			return cli.Refusedf("-output %s: it is in the workspace, where the agent could put a link in its place; wanted a file elsewhere\nhint: start keeps the output itself, for 'bottlerun logs NAME agent'", o.output)
		}
	}
	return nil
}

// A background is what the flags -output and -ready make of a run.
type background struct {
	output *accesslog.File // nil: the agent has our own streams
	file   string
	ready  *os.File  // nil: nobody waits
	errors io.Writer // of the agent, where that is not our own standard error
}

// openBackground opens what the flags name.
func openBackground(o options) (b background, err error) {
	if o.ready != 0 {
		if _, err := unix.FcntlInt(uintptr(o.ready), unix.F_SETFD, unix.FD_CLOEXEC); err != nil || o.ready < 3 {
			return b, cli.Misused("-ready %d: no such descriptor; wanted one that is open, 3 or higher", o.ready)
		}
		b.ready = os.NewFile(uintptr(o.ready), "ready")
	}
	if o.output != "" {
		b.file = o.output
		if b.output, err = accesslog.OpenFile(o.output); err != nil {
			return b, fmt.Errorf("-output: %w", err)
		}
	}
	return b, nil
}

// streams are those that the agent's output goes to.
func (b background) streams(env *cli.Env) (out, err io.Writer) {
	switch {
	case b.output == nil && b.errors != nil:
		return env.Stdout, b.errors
	case b.output == nil:
		return env.Stdout, env.Stderr
	}
	return keptLog{b.output}, keptLog{b.output}
}

// terminal reports whether the agent gets one.
func (b background) terminal(env *cli.Env) bool { return b.output == nil && terminal(env) }

// tell says that the agent runs. Notes go where its output goes from now on:
// whoever started us may be gone, and the terminal with him.
func (b background) tell() error {
	if b.output != nil {
		f, err := os.OpenFile(b.file, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := unix.Dup3(int(f.Fd()), int(os.Stderr.Fd()), 0); err != nil {
			return fmt.Errorf("standard error: %w", err)
		}
	}
	if b.ready == nil {
		return nil
	}
	defer b.ready.Close()
	// With a line, as s6's notification-fd; nobody there to read it is no fault.
	if _, err := b.ready.WriteString("\n"); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fmt.Errorf("-ready %s: %w", strconv.Itoa(int(b.ready.Fd())), err)
	}
	return nil
}
