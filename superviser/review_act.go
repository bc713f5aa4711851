package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"

	"bottle/pkg/cli"
	"bottle/pkg/review"

	"golang.org/x/sys/unix"
)

// act does what a key has asked for and reports whether that ends the program.
func (r *reviewer) act(ctx context.Context, a review.Action, signals <-chan os.Signal) bool {
	switch a.Do {
	case review.Nothing:
		return false
	case review.Quit:
		return true
	case review.Suspend:
		r.suspend()
		return false
	case review.Redraw:
		r.term.Redraw()
		return false
	}
	at, err := r.lookout.place(a.Item.Bottle)
	if err != nil {
		r.screen.Done(false, err.Error())
		return false
	}
	flags, id := at.flags(), a.Item.ID
	switch a.Do {
	case review.Approve:
		args := append(append(flags, "-digest", a.Item.Digest), terms(a)...)
		r.verb(ctx, "approve", approve, a.Item, append(args, id))
	case review.Reject:
		r.verb(ctx, "reject", reject, a.Item, append(flags, "-reason", a.Reason, id))
	case review.EditProposal:
		r.narrow(ctx, at, a.Item, signals)
	case review.EditRoutes:
		r.edit(ctx, signals, "routesctl", append([]string{"edit"}, flags...)...)
	case review.EditPipelock:
		r.edit(ctx, signals, "pipemirror", append([]string{"edit"}, flags...)...)
	}
	return false
}

// terms are the flags of approve that grant less than what was asked for.
func terms(a review.Action) []string {
	var args []string
	if a.Hold > 0 {
		args = append(args, "-for", a.Hold.String())
	}
	if a.Uses > 0 {
		args = append(args, "-uses", fmt.Sprint(a.Uses))
	}
	if n := a.Item.Narrow; n != nil {
		for _, path := range n.Paths {
			args = append(args, "-path", path)
		}
		if n.Methods != nil {
			args = append(args, "-methods", strings.Join(n.Methods, ","))
		}
	}
	return args
}

// verb runs a verb of superviser in the background, as it would run from the
// command line, and shows what it says.
func (r *reviewer) verb(ctx context.Context, name string, run func(context.Context, *cli.Env) error, it review.Item, args []string) {
	what := fmt.Sprintf("%s %s in %s", name, it.Subject, it.Bottle)
	r.screen.Begin(what)
	r.beside(func() {
		var said tail
		env := *r.env
		env.Verb, env.Args, env.Stdin, env.Stdout, env.Stderr = name, args, strings.NewReader(""), &said, &said
		err := run(ctx, &env)
		r.done <- resultOf(what, said.String(), err)
	})
}

// resultOf is what a verb has said, the error first.
func resultOf(what, said string, err error) result {
	text := "done: " + what
	if err != nil {
		text = err.Error()
	}
	if said = strings.TrimSpace(said); said != "" {
		text += "\n" + said
	}
	return result{err == nil, text}
}

// edit gives the terminal to a program that edits. What it says on stderr is
// also shown afterwards, when the screen covers it.
func (r *reviewer) edit(ctx context.Context, signals <-chan os.Signal, prog string, args ...string) {
	said, err := r.give(ctx, signals, exec.Command(cli.Sibling(prog), args...))
	d := resultOf(prog+" "+strings.Join(args, " "), said, err)
	var exit *exec.ExitError
	if errors.As(err, &exit) && said != "" {
		d.text = said
	}
	r.screen.Done(d.ok, d.text)
	r.lookout.again()
}

// give runs cmd with the terminal and takes that back. It returns what cmd said
// on stderr.
func (r *reviewer) give(ctx context.Context, signals <-chan os.Signal, cmd *exec.Cmd) (string, error) {
	r.term.Leave()
	var said tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.env.Stdin, r.env.Stdout, io.MultiWriter(r.env.Stderr, &said)
	err := r.foreground(ctx, cmd, signals)
	back := r.term.Resume()
	r.resume(back)
	return strings.TrimSpace(said.String()), errors.Join(err, back)
}

// foreground runs cmd, which has the terminal. An interrupt is its own; a ^Z
// stops it and us alike, since we are one process group.
func (r *reviewer) foreground(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := ctx.Done()
	for {
		select {
		case err := <-ended:
			return err
		case <-stop:
			cmd.Process.Signal(unix.SIGTERM)
			stop = nil
		case s := <-signals:
			if s == unix.SIGHUP {
				cmd.Process.Signal(s)
			}
		}
	}
}

// tailSize bounds what is kept of what a program says.
const tailSize = 32 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(p)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
