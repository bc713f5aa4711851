package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"

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
	if b.Engine == nil {
		return cli.Refusedf("bottle %s: the sandbox of backend %s takes no second command\nhint: have the agent's command be a shell or a terminal multiplexer", b.Name, b.Backend)
	}
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
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return cli.Exit(exit.ExitCode(), cli.Silent)
	}
	return err
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
