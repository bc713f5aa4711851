package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Container is what the engine says of one.
type Container struct {
	ID, Name  string
	State     string // created, running, paused, restarting, removing, exited, dead
	Labels    map[string]string
	ExitCode  int
	OOMKilled bool
	Created   time.Time // by the engine's clock, as Started
	Started   time.Time
}

// Running reports whether the container's process is there.
func (c Container) Running() bool { return c.State == "running" || c.State == "paused" }

// Containers are those, running or not, that have all the labels, each as KEY or
// KEY=VALUE.
func (e *Engine) Containers(ctx context.Context, labels ...string) ([]Container, error) {
	args := []string{"ps", "-a", "--no-trunc", "--format", "{{json .}}"}
	for _, l := range labels {
		args = append(args, "--filter", "label="+l)
	}
	out, err := e.Output(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	// The labels in these lines are joined by commas that may also be in them.
	var ids []string
	err = eachJSON(out, func(line struct{ ID string }) { ids = append(ids, line.ID) })
	if err != nil || slices.Contains(ids, "") {
		return nil, fmt.Errorf("%s ps: %v; wanted JSON with IDs", e.program(), err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	list, err := e.inspect(ctx, ids...)
	if errors.Is(err, ErrNoContainer) {
		return list, nil // one was removed between the two questions
	}
	return list, err
}

// Named are those of the containers with these names, or IDs, that are there.
func (e *Engine) Named(ctx context.Context, names ...string) ([]Container, error) {
	for _, n := range names {
		if err := validPlace(n, "/"); err != nil {
			return nil, err
		}
	}
	list, err := e.inspect(ctx, names...)
	if errors.Is(err, ErrNoContainer) {
		return list, nil
	}
	return list, err
}

// Inspect describes one container by name or ID; ErrNoContainer when there is none.
func (e *Engine) Inspect(ctx context.Context, container string) (Container, error) {
	if err := validPlace(container, "/"); err != nil {
		return Container{}, err
	}
	list, err := e.inspect(ctx, container)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%s inspect: %d answers; wanted one", e.program(), len(list))
	}
	if err != nil {
		return Container{}, err
	}
	return list[0], nil
}

// inspect returns what it has also beside an error.
func (e *Engine) inspect(ctx context.Context, ids ...string) ([]Container, error) {
	out, failed := e.Output(ctx, nil, append([]string{"inspect", "--type", "container", "--format", "{{json .}}"}, ids...)...)
	var list []Container
	err := eachJSON(out, func(c inspected) {
		list = append(list, Container{ID: c.ID, Name: strings.TrimPrefix(c.Name, "/"), State: c.State.Status, Labels: c.Config.Labels,
			ExitCode: c.State.ExitCode, OOMKilled: c.State.OOMKilled, Created: c.Created, Started: c.State.StartedAt})
	})
	if err != nil && failed == nil {
		failed = fmt.Errorf("%s inspect: %w", e.program(), err)
	}
	return list, failed
}

// inspected is what is read of docker inspect.
type inspected struct {
	ID, Name string
	Created  time.Time
	State    struct {
		Status    string
		ExitCode  int
		OOMKilled bool
		StartedAt time.Time
	}
	Config struct{ Labels map[string]string }
}

// eachJSON calls use with every value of out: docker prints one a line, podman's
// ps one array of all.
func eachJSON[T any](out []byte, use func(T)) error {
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		list := make([]T, 1)
		var err error
		if raw[0] == '[' {
			err = json.Unmarshal(raw, &list)
		} else {
			err = json.Unmarshal(raw, &list[0])
		}
		if err != nil {
			return err
		}
		for _, v := range list {
			use(v)
		}
	}
}

// Signal sends sig to the container's first process. Nil says that it was sent,
// not that anything came of it.
func (e *Engine) Signal(ctx context.Context, container string, sig syscall.Signal) error {
	name := unix.SignalName(sig)
	if name == "" {
		return fmt.Errorf("signal %d; wanted one that has a name", sig)
	}
	if err := validPlace(container, "/"); err != nil {
		return err
	}
	_, err := e.Output(ctx, nil, "kill", "--signal", name, container)
	return err
}

// Exec runs a program in a running container and returns its standard output.
// The program's exit code is the error's Code.
func (e *Engine) Exec(ctx context.Context, container string, stdin io.Reader, args ...string) ([]byte, error) {
	cmd, err := execArgs(container, stdin != nil, args)
	if err != nil {
		return nil, err
	}
	return e.Output(ctx, stdin, cmd...)
}

// execArgs is the command line of docker exec; with input its standard input is
// passed on.
func execArgs(container string, input bool, args []string) ([]string, error) {
	if err := validPlace(container, "/"); err != nil {
		return nil, err
	}
	if len(args) == 0 || !path.IsAbs(args[0]) {
		return nil, fmt.Errorf("exec of %q; wanted an absolute path", args)
	}
	cmd := []string{"exec"}
	if input {
		cmd = append(cmd, "-i")
	}
	return append(append(cmd, container), args...), nil
}

// validName reports whether s is a container's or a context's name, none of which
// could be a flag or a path. Not by a regular expression: compiling one of 255
// repetitions takes each program that imports this a millisecond of its start.
func validName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune("_.+-", rune(c))) {
			return false
		}
	}
	return true
}

// validPlace checks the two halves of CONTAINER:PATH.
func validPlace(container, file string) error {
	if !validName(container) {
		return fmt.Errorf("container %q; wanted a name or an ID", container)
	}
	if !path.IsAbs(file) || path.Clean(file) != file || strings.ContainsRune(file, 0) {
		return fmt.Errorf("path %q in a container; wanted an absolute one without dots", file)
	}
	return nil
}
