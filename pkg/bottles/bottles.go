// Package bottles finds bottles: those of this machine's records, and those of
// container engines by their labels.
package bottles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/state"
)

// The labels on every object of a bottle in an engine that are read here.
const (
	LabelName = "bottle.name" // the slug
	LabelID   = "bottle.id"   // the slug and a number of this run
	LabelRole = "bottle.role" // agent, egress-proxy, superviser, pipelock
)

// roles are those of all containers that a bottle may have.
var roles = []string{"agent", "egress-proxy", "superviser", "pipelock"}

// Docker is the name of the backend whose parts are containers.
const Docker = "docker"

// Bottle is one that was found.
type Bottle struct {
	Name    string
	Backend string
	Dir     state.Dir    // the operator's files of it, on this machine
	Record  state.Record // zero for one that was found by its labels alone
	// For backend docker:
	Engine     *docker.Engine
	ID         string
	Containers map[string]docker.Container // by role
}

// ContainerName is the name of the container of a role.
func ContainerName(slug, role string) string { return "bottle-" + slug + "-" + role }

// Running reports whether the bottle runs: its launcher, or one of its containers.
func (b *Bottle) Running() bool {
	if b.Engine == nil {
		return b.Dir.Running() && b.Record.Boot == state.Boot()
	}
	for _, c := range b.Containers {
		if c.Running() {
			return true
		}
	}
	return false
}

// Part is the container of a role, by its ID: never a later one of the same name.
func (b *Bottle) Part(role string) (string, error) {
	c, ok := b.Containers[role]
	if !ok {
		return "", fmt.Errorf("bottle %q has no container %s on %v: %w", b.Name, ContainerName(b.Name, role), b.Engine, docker.ErrNoContainer)
	}
	return c.ID, nil
}

// The kinds of error of Find. Any other is trouble: then nothing is known.
var (
	ErrName    = errors.New("not a bottle's name")
	ErrAbsent  = errors.New("no such bottle")
	ErrStopped = errors.New("the bottle is not running")
)

// told is an error with words of its own.
type told struct {
	kind error
	text string
}

func (e *told) Error() string { return e.text }
func (e *told) Unwrap() error { return e.kind }

func tell(kind error, format string, args ...any) error {
	return &told{kind, fmt.Sprintf(format, args...)}
}

// Find finds the running bottle slug: by the record on this machine, else by the
// labels of containers of the engine that the operator has chosen, by context
// or by the environment. With a context only that engine is asked.
func Find(ctx context.Context, getenv func(string) string, context, slug string) (*Bottle, error) {
	root, err := state.Root(getenv)
	if err != nil {
		return nil, err
	}
	dir, err := state.At(root, slug)
	if err != nil {
		return nil, tell(ErrName, "%v", err)
	}
	absent := tell(ErrAbsent, "no bottle %q below %s", slug, root)
	if context == "" {
		b, err := recorded(ctx, dir)
		if b != nil || !errors.Is(err, ErrAbsent) && !errors.Is(err, ErrStopped) {
			return b, err
		}
		if errors.Is(err, ErrStopped) {
			absent = err
		}
	}
	e := docker.Open(getenv, context)
	b, err := labelled(ctx, e, dir)
	if errors.Is(err, ErrAbsent) {
		return nil, hinted(absent, e, slug)
	}
	var silent *docker.Unreachable
	if errors.As(err, &silent) && (errors.Is(absent, ErrStopped) || !Chosen(getenv, context)) {
		return nil, hinted(absent, nil, slug) // who uses no engine is not told of one
	}
	return b, err
}

// hinted is the answer that there is no such bottle here, nor on the engine.
func hinted(err error, e *docker.Engine, slug string) error {
	if errors.Is(err, ErrStopped) {
		return err
	}
	where := ""
	if e != nil {
		where = fmt.Sprintf(", nor on %v", e)
	}
	return tell(ErrAbsent, "%v%s\nhint: 'routesctl list' shows the running ones", err, where)
}

// Chosen reports whether the operator has named an engine.
func Chosen(getenv func(string) string, context string) bool {
	return context != "" || getenv("DOCKER_HOST") != "" || getenv("DOCKER_CONTEXT") != "" || getenv("CONTAINER_HOST") != "" || getenv("BOTTLE_DOCKER") != ""
}

// recorded is the running bottle of the record in dir.
func recorded(ctx context.Context, dir state.Dir) (*Bottle, error) {
	r, err := dir.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	slug := dir.Name()
	stopped := tell(ErrStopped, "bottle %q is not running; its table is that of its manifest\nhint: 'bottlerun run %s' starts it", slug, slug)
	if r.Backend != Docker {
		b := &Bottle{Name: slug, Backend: r.Backend, Dir: dir, Record: r}
		if !b.Running() {
			return nil, stopped
		}
		return b, nil
	}
	b, err := labelled(ctx, engineOf(r), dir)
	if errors.Is(err, ErrAbsent) {
		return nil, stopped
	}
	if err != nil {
		return nil, fmt.Errorf("bottle %q: %w", slug, err)
	}
	if b.ID == r.ID {
		b.Record = r
	}
	return b, nil
}

// engineOf is the engine of a record.
func engineOf(r state.Record) *docker.Engine {
	if r.Engine == nil {
		return docker.At("", "", "")
	}
	return docker.At(r.Engine.Program, r.Engine.Context, r.Engine.Host)
}

// labelled is the running bottle of dir's name on an engine.
func labelled(ctx context.Context, e *docker.Engine, dir state.Dir) (*Bottle, error) {
	slug := dir.Name()
	var names []string
	for _, role := range roles {
		names = append(names, ContainerName(slug, role))
	}
	containers, err := e.Named(ctx, names...)
	if err != nil {
		return nil, err
	}
	others := func(c docker.Container) bool { return c.Labels[LabelName] != slug }
	list := group(e, dir, slices.DeleteFunc(containers, others))
	if len(list) == 0 {
		return nil, ErrAbsent
	}
	b := list[0]
	if !b.Running() {
		return nil, tell(ErrStopped, "bottle %q is not running; what is left of it on %v has ended\nhint: 'bottlerun gc' removes it", slug, e)
	}
	return &b, dir.MakeOperator()
}

// Genuine reports whether the container is a bottle's own: it has the name that
// its labels say. A container inherits labels from its image, which anybody may
// have written, also those that a build runs in; a name is there but once.
func Genuine(c docker.Container) bool {
	return c.Labels[LabelRole] != "" && c.Name == ContainerName(c.Labels[LabelName], c.Labels[LabelRole])
}

// group makes bottles of containers that have the name of dir, the one that runs
// and was started last first.
func group(e *docker.Engine, dir state.Dir, containers []docker.Container) []Bottle {
	byID := map[string]*Bottle{}
	var ids []string
	for _, c := range containers {
		if !Genuine(c) {
			continue
		}
		id, role := c.Labels[LabelID], c.Labels[LabelRole]
		b := byID[id]
		if b == nil {
			b = &Bottle{Name: dir.Name(), Backend: Docker, Dir: dir, Engine: e, ID: id, Containers: map[string]docker.Container{}}
			byID[id] = b
			ids = append(ids, id)
		}
		b.Containers[role] = c
	}
	var list []Bottle
	for _, id := range ids {
		list = append(list, *byID[id])
	}
	sortLively(list)
	return list
}

// started is when the last of the bottle's containers was started.
func (b *Bottle) started() (last time.Time) {
	for _, c := range b.Containers {
		if c.Started.After(last) {
			last = c.Started
		}
	}
	return last
}
