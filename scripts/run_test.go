package scripts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// command is a program of the toolkit, or a script of base/scripts, as the
// operator calls it.
func (op *operator) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	path := filepath.Join(base, "bin", name)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(base, "scripts", name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = op.home
	cmd.Env = append([]string{"PATH=" + searchPath(), "HOME=" + op.home, "USER=operator"}, op.env...)
	cmd.SysProcAttr = credential(op.uid)
	cmd.WaitDelay = time.Second
	return cmd
}

// searchPath is what the operator and the agent find their programs in.
func searchPath() string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if g, err := exec.LookPath("go"); err == nil {
		path += ":" + filepath.Dir(g)
	}
	return path
}

// A result is what a program left.
type result struct {
	code        int
	out, errors string
	took        time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit %d after %v\nstdout: %s\nstderr: %s", r.code, r.took.Round(time.Millisecond), r.out, r.errors)
}

// run runs a program to its end.
func (op *operator) run(name string, args ...string) result {
	op.t.Helper()
	return op.feed("", name, args...)
}

// feed is run with standard input.
func (op *operator) feed(stdin, name string, args ...string) result {
	op.t.Helper()
	r, err := op.try(stdin, name, args...)
	if err != nil {
		op.t.Fatalf("%s %q: %v\n%v", name, args, err, r)
	}
	return r
}

// try is feed for any goroutine. The error is that the program did not start, or
// did not end in time.
func (op *operator) try(stdin, name string, args ...string) (result, error) {
	ctx, cancel := context.WithTimeout(op.t.Context(), limit)
	defer cancel()
	cmd := op.command(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	start := time.Now()
	err := cmd.Run()
	r := result{cmd.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(start)}
	var exit *exec.ExitError
	if ctx.Err() == nil && (err == nil || errors.As(err, &exit)) {
		return r, nil
	}
	return r, errors.Join(err, ctx.Err())
}

// must is run for what has to succeed; it returns the output.
func (op *operator) must(name string, args ...string) string {
	op.t.Helper()
	r := op.run(name, args...)
	if r.code != 0 {
		op.t.Fatalf("%s %q: %v", name, args, r)
	}
	return r.out
}

// want runs a program and checks its exit code and that its messages hold text.
func (op *operator) want(code int, text, name string, args ...string) result {
	op.t.Helper()
	r := op.run(name, args...)
	if r.code != code || !strings.Contains(r.errors, text) {
		op.t.Errorf("%s %q: wanted exit %d and %q on stderr; got %v", name, args, code, text, r)
	}
	return r
}

// inside runs a shell script as the agent of a bottle of its own.
func (op *operator) inside(script string) result {
	op.t.Helper()
	return op.run("bottlerun", "run", "-f", op.manifest, "inside", "--", "sh", "-c", script)
}
