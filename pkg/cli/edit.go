package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Edit has the operator edit text, in a file called name, and calls use with what
// became of it, if anything has. When the editor or use fails the operator's text
// is kept, and the error says where.
func (e *Env) Edit(ctx context.Context, name string, text []byte, use func(next []byte) error) error {
	dir, err := os.MkdirTemp("", e.Prog)
	if err != nil {
		return err
	}
	draft := filepath.Join(dir, name)
	next, err := e.runEditor(draft, text)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && !bytes.Equal(text, next) {
		err = use(next)
	}
	if err != nil {
		return fmt.Errorf("%w\nhint: your text is kept in %s", err, draft)
	}
	return os.RemoveAll(dir)
}

// runEditor runs $VISUAL, or else $EDITOR, on the file draft.
func (e *Env) runEditor(draft string, text []byte) ([]byte, error) {
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return nil, err
	}
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if v := e.Getenv(name); v != "" {
			editor = v
		}
	}
	// Through the shell: the variable may hold arguments.
	// And without ctx: an interrupt typed into the editor is the editor's.
	cmd := exec.Command("sh", "-c", editor+` "$1"`, "sh", draft)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.Stdin, e.Stdout, e.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("editor %q: %w", editor, err)
	}
	return os.ReadFile(draft)
}
