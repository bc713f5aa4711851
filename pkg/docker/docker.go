// Package docker runs the docker CLI; nothing else in the toolkit does.
//
// Only its --format '{{json .}}' is read, never its tables. Every call ends by
// itself. Data of an agent goes through streams, not through arguments.
package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Engine is a container engine, as the CLI reaches it. The zero value is the one
// that docker itself would choose.
type Engine struct {
	Program string            // the CLI; "" is docker
	Context string            // of docker context; "" is the CLI's own choice
	Env     []string          // on top of the environment of the process; NAME alone takes one out
	Warn    func(line string) // what the CLI says beside a success; nil drops it
}

// Limit is how long a call may take whose context has no end of its own.
const Limit = 30 * time.Second

// maxOutput bounds what Output takes from the CLI.
const maxOutput = 64 << 20

// Open is the engine that the operator has chosen: by context, or else by
// DOCKER_HOST and DOCKER_CONTEXT, which the CLI reads itself. BOTTLE_DOCKER
// names another CLI, such as podman.
func Open(getenv func(string) string, context string) *Engine {
	return &Engine{Program: getenv("BOTTLE_DOCKER"), Context: context}
}

func (e *Engine) program() string {
	if e.Program == "" {
		return "docker"
	}
	return e.Program
}

// Name is the CLI's name, for messages.
func (e *Engine) Name() string { return filepath.Base(e.program()) }

// Podman reports whether the CLI is podman, which has no contexts and refuses
// options of docker's network drivers.
func (e *Engine) Podman() bool { return strings.Contains(filepath.Base(e.program()), "podman") }

// Command is the CLI with args, for a run whose streams are the caller's. The
// process has its own group: an interrupt typed at the terminal is the caller's.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	var global []string
	if e.Context != "" {
		global = []string{"--context", e.Context}
	}
	cmd := exec.CommandContext(ctx, e.program(), append(global, args...)...)
	cmd.Env = e.environ()
	cmd.WaitDelay = time.Second
	if e.Context != "" && e.Podman() {
		cmd.Err = errors.New("podman has no contexts; wanted no -context\nhint: CONTAINER_HOST names podman's engine")
	} else if e.Context != "" && !validName(e.Context) {
		cmd.Err = fmt.Errorf("context %q is not valid; wanted a name that 'docker context ls' prints", e.Context)
	}
	return cmd
}

// environ is the environment of the CLI; nil is that of the process.
func (e *Engine) environ() []string {
	if len(e.Env) == 0 {
		return nil
	}
	all := os.Environ()
	for _, v := range e.Env {
		name, _, set := strings.Cut(v, "=")
		all = slices.DeleteFunc(all, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		if set {
			all = append(all, v)
		}
	}
	return all
}

// Output runs the CLI and returns its standard output, also beside an error. The
// error is an *Error when the CLI has said no, an *Unreachable when there is no
// engine to ask.
func (e *Engine) Output(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	var out []byte
	err := e.stream(ctx, stdin, func(r io.Reader) (err error) {
		out, err = io.ReadAll(io.LimitReader(r, maxOutput+1))
		if err == nil && len(out) > maxOutput {
			err = fmt.Errorf("%s %s: more than %d bytes of output", e.program(), args[0], maxOutput)
		}
		return err
	}, args...)
	return out, err
}

// stream runs the CLI and has read take its standard output. When read fails
// the CLI is ended.
func (e *Engine) stream(ctx context.Context, stdin io.Reader, read func(io.Reader) error, args ...string) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Limit)
		defer cancel()
	}
	began := time.Now()
	cmd := e.Command(ctx, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var notes bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &bounded{b: &notes, left: 64 << 10}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return e.failed(ctx, args, err, "", began)
	}
	// A child of the CLI could hold the pipe open when the CLI is gone.
	defer context.AfterFunc(ctx, func() { out.Close() })()
	bad := read(out)
	cut := errors.Is(bad, io.ErrUnexpectedEOF) // then the CLI says why
	if bad != nil && !cut {
		cmd.Process.Kill()
	}
	err = cmd.Wait()
	if bad != nil && ctx.Err() == nil && (err == nil || !cut) {
		return bad
	}
	said := quiet(notes.String())
	if err != nil {
		return e.failed(ctx, args, err, said, began)
	}
	if e.Warn != nil {
		for line := range strings.Lines(said) {
			e.Warn(strings.TrimSuffix(line, "\n"))
		}
	}
	return nil
}

// noise is what the CLIs say although nothing is wrong.
var noise = []string{
	"WARNING: Localhost DNS ",         // it is meant: no name resolves in a bottle
	"Emulate Docker CLI using podman", // the docker of podman-docker
	"failed to connect to syslog",     // podman without one
	"Successfully copied ",            // docker cp, to a terminal
}

// quiet is stderr without noise.
func quiet(stderr string) string {
	var b strings.Builder
lines:
	for line := range strings.Lines(stderr) {
		for _, n := range noise {
			if strings.Contains(line, n) {
				continue lines
			}
		}
		b.WriteString(line)
	}
	return strings.TrimSpace(b.String())
}

// bounded drops what is more than left bytes.
type bounded struct {
	b    *bytes.Buffer
	left int
}

func (w *bounded) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.b.Write(p[:n])
	w.left -= n
	return len(p), nil
}
