package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"bottle/pkg/escape"
)

// Error is a no of the CLI. It is fs.ErrNotExist when the container, or the file
// in it, is not there; ErrNoContainer and ErrNotRunning tell more.
type Error struct {
	Program string
	Args    []string
	Code    int    // the CLI's exit code
	Stderr  string // as it was said; Error shows it escaped
}

// ErrNoContainer says that the engine has no such container.
var ErrNoContainer = errors.New("no such container")

// ErrNotRunning says that the container does not run.
var ErrNotRunning = errors.New("the container is not running")

func (e *Error) Error() string {
	said := strings.TrimPrefix(e.Stderr, "Error response from daemon: ")
	said = strings.TrimPrefix(said, "Error: ")
	if said == "" {
		said = fmt.Sprintf("exit code %d", e.Code)
	}
	return fmt.Sprintf("%s %s: %s", e.Program, e.Args[0], escape.Text(said, 0))
}

// Is makes errors.Is tell what is missing.
func (e *Error) Is(target error) bool {
	said := strings.ToLower(e.Stderr)
	has := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(said, t) {
				return true
			}
		}
		return false
	}
	switch target {
	case ErrNoContainer:
		return has("no such container", "no such object", "no container with name", "\" does not exist")
	case ErrNotRunning:
		return has("is not running", "can only kill running containers", "container state improper")
	case fs.ErrNotExist:
		return e.Is(ErrNoContainer) || has("could not find the file", "could not be found on container", "no such file or directory", "must be a directory")
	}
	return false
}

// Unreachable says that the engine could not be asked, so that nothing is known
// of its containers.
type Unreachable struct {
	Engine string // which one, in words
	Reason string
	hint   string
	cause  error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("%s cannot be reached: %s", e.Engine, e.Reason)
}

// Hint is what to do about it; pkg/cli prints it below the message.
func (e *Unreachable) Hint() string { return e.hint }

func (e *Unreachable) Unwrap() error { return e.cause }

// failed is the error of one call.
func (e *Engine) failed(ctx context.Context, args []string, err error, stderr string, began time.Time) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		reason := fmt.Sprintf("no answer to '%s %s' within %v", e.program(), args[0], time.Since(began).Round(100*time.Millisecond))
		return &Unreachable{e.String(), reason, e.hint(), context.DeadlineExceeded}
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", e.program(), args[0], ctx.Err())
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return &Unreachable{e.String(), fmt.Sprintf("there is no program %s", e.program()), "install docker's command line, or name another with BOTTLE_DOCKER", exec.ErrNotFound}
	case !errors.As(err, &exit):
		return fmt.Errorf("%s %s: %w", e.program(), args[0], err)
	case unreachable(stderr):
		return &Unreachable{e.String(), escape.Text(stderr, 0), e.hint(), nil}
	}
	return &Error{e.program(), args, exit.ExitCode(), stderr}
}

// unreachable knows what the CLIs say when there is no engine.
func unreachable(stderr string) bool {
	for _, text := range []string{
		"Cannot connect to the Docker daemon", "failed to connect to the docker API", "error during connect",
		"permission denied while trying to connect", "unable to resolve docker endpoint", "Cannot connect to Podman",
		"unable to connect to Podman", "docker daemon is not running", "request canceled while waiting for connection",
	} {
		if strings.Contains(stderr, text) {
			return true
		}
	}
	return false
}

// String names the engine as its operator chose it.
func (e *Engine) String() string {
	name := "the " + strings.TrimSuffix(e.program(), " ") + " engine"
	if e.program() == "docker" || e.Podman() {
		name = "the engine of " + e.program()
	}
	switch {
	case e.Context != "" && e.Context != "default":
		return name + fmt.Sprintf(" (context %s)", escape.Text(e.Context, 0))
	case e.host() != "":
		return name + fmt.Sprintf(" (%s)", escape.Text(e.host(), 0))
	case e.Context == "" && e.env("DOCKER_CONTEXT") != "" && !e.Podman():
		return name + fmt.Sprintf(" (context %s)", escape.Text(e.env("DOCKER_CONTEXT"), 0))
	}
	return name
}

func (e *Engine) hint() string {
	at := ""
	if e.Context != "" {
		at = " --context " + escape.Text(e.Context, 0)
	}
	return fmt.Sprintf("'%s%s info' must work first", e.program(), at)
}

// env is a variable as the CLI will see it.
func (e *Engine) env(name string) string {
	for i := len(e.Env) - 1; i >= 0; i-- {
		if n, v, _ := strings.Cut(e.Env[i], "="); n == name {
			return v
		}
	}
	return os.Getenv(name)
}

func (e *Engine) host() string {
	if e.Podman() {
		return e.env("CONTAINER_HOST")
	}
	return e.env("DOCKER_HOST")
}
