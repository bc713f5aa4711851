package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"bottle/pkg/cli"
)

func edit(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	var t target
	t.flags(fs)
	t.waitFlag(fs)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	p, err := t.find(env)
	if errors.Is(err, errNone) {
		return cli.Refused(err)
	}
	if err != nil {
		return err
	}
	old, err := readConfig(p)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pipemirror")
	if err != nil {
		return err
	}
	draft := filepath.Join(dir, "pipelock.yaml")
	next, err := runEditor(env, draft, old)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !bytes.Equal(old, next) {
		err = p.Install(ctx, old, next)
	}
	if err != nil {
		return answer(fmt.Errorf("%w\nhint: your text is kept in %s", err, draft))
	}
	return os.RemoveAll(dir)
}

// runEditor has the operator edit text in the file draft.
func runEditor(env *cli.Env, draft string, text []byte) ([]byte, error) {
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return nil, err
	}
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if v := env.Getenv(name); v != "" {
			editor = v
		}
	}
	// Through the shell: the variable may hold arguments.
	// And without ctx: an interrupt typed into the editor is the editor's.
	cmd := exec.Command("sh", "-c", editor+` "$1"`, "sh", draft)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.Stdin, env.Stdout, env.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("editor %q: %w", editor, err)
	}
	return os.ReadFile(draft)
}
