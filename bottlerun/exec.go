package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// execVerb runs one more command beside a bottle's agent.
func execVerb(ctx context.Context, env *cli.Env) error {
	i := slices.Index(env.Args, "--")
	if i < 0 || i == len(env.Args)-1 {
		return cli.Misused("no command; wanted NAME -- COMMAND...")
	}
	command := env.Args[i+1:]
	env.Args = env.Args[:i]
	flags := env.Flags()
	where := flags.String("context", "", "")
	if err := env.Parse(flags, 1, 1); err != nil {
		return err
	}
	b, err := findBottle(ctx, env, *where, flags.Arg(0))
	if err != nil {
		return err
	}
	switch b.Backend {
	case backendDocker:
		return execDocker(ctx, env, b, command)
	case backendEnv:
		return cli.Refusedf("bottle %s: the backend env has no sandbox to run a command in\nhint: set the variables of the agent, HTTPS_PROXY=%s for one, and run it", b.Name, b.Record.ProxyURL)
	}
	return execLocal(env, b, command)
}

// execDocker is for a container, by the engine.
func execDocker(ctx context.Context, env *cli.Env, b *bottles.Bottle, command []string) error {
	id, err := b.Part(roleAgent)
	if err != nil {
		return err
	}
	args := []string{"exec", "--interactive"}
	if terminal(env) {
		args = append(args, "--tty")
	}
	// By way of our own program: the engine's exec knows nothing of our filter.
	args = append(args, id, filepath.Join(sandbox.BinDir, "bottlerun"))
	cmd := b.Engine.Command(ctx, append(args, sandbox.Confined(command)...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.Stdin, env.Stdout, env.Stderr
	err = cmd.Run()
	if ctx.Err() != nil {
		return errors.New("interrupted; in a container the command goes on until it ends, or the bottle does")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return cli.Exit(exit.ExitCode(), cli.Silent)
	}
	return err
}

// enterWait is how long a bottle may be starting before that is told: an agent may
// have printed something before its launcher takes commands.
const enterWait = 3 * time.Second

// execLocal is for a sandbox, by its launcher.
func execLocal(env *cli.Env, b *bottles.Bottle, command []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	defer signal.Stop(signals)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // as start does
	c := sandbox.Command{Args: command, Terminal: terminal(env), Term: env.Getenv("TERM"), Stdout: env.Stdout, Stderr: env.Stderr}
	c.Stdin, _ = env.Stdin.(*os.File)
	s, err := sandbox.Enter(b.Dir.Exec(), c)
	for late := time.Now().Add(enterWait); errors.Is(err, sandbox.ErrNotServed) && b.Running() && time.Now().Before(late); {
		time.Sleep(10 * time.Millisecond)
		s, err = sandbox.Enter(b.Dir.Exec(), c)
	}
	if errors.Is(err, sandbox.ErrNotServed) {
		return cli.Refusedf("bottle %s is starting or ending: %v\nhint: try again once its agent runs", b.Name, err)
	}
	if err != nil && !errors.Is(err, sandbox.ErrLost) {
		return cli.Exit(sandbox.CannotStart, err)
	}
	code := 0
	if err == nil {
		go passOn(signals, s)
		code, err = s.Wait()
	}
	if errors.Is(err, sandbox.ErrLost) {
		note(env, "the bottle %s has ended, and the command with it", b.Name)
		code = 128 + int(syscall.SIGKILL)
	}
	return cli.Exit(code, silentUnless(code))
}

// passOn gives the command what is sent to this process. After TERM or HUP it has
// the agent's grace.
func passOn(signals <-chan os.Signal, s *sandbox.Second) {
	var late <-chan time.Time
	for {
		select {
		case sig := <-signals:
			s.Signal(sig)
			if late == nil && (sig == syscall.SIGTERM || sig == syscall.SIGHUP) {
				late = time.After(grace)
			}
		case <-late:
			s.Signal(syscall.SIGKILL)
			late = nil
		}
	}
}

// findBottle is bottles.Find with the exit codes of its errors.
func findBottle(ctx context.Context, env *cli.Env, where, slug string) (*bottles.Bottle, error) {
	b, err := bottles.Find(ctx, env.Getenv, where, slug)
	switch {
	case errors.Is(err, bottles.ErrName):
		return nil, cli.Misused("%v", err)
	case errors.Is(err, bottles.ErrAbsent), errors.Is(err, bottles.ErrStopped):
		return nil, cli.Refused(err)
	}
	return b, err
}
