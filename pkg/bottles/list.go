package bottles

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bottle/pkg/docker"
	"bottle/pkg/state"
)

// Unasked are the engines that could not be asked, and the records that could not
// be read, each with the reason. It is an error beside a list that is good as far
// as it goes.
type Unasked []error

func (u Unasked) Error() string {
	var s []string
	for _, err := range u {
		s = append(s, err.Error())
	}
	return strings.Join(s, "\n")
}

// listLimit is how long one engine may take to say what it has.
const listLimit = 10 * time.Second

// an asked engine, and what it has answered.
type asked struct {
	key        state.Engine
	engine     *docker.Engine
	told       bool // that it cannot be reached is worth a note
	containers []docker.Container
	err        error
}

// List returns the bottles, running or not, of this machine's records, of the
// engines in them, of the engine that the operator has chosen, and with
// allContexts of all of docker's contexts: each bottle once, sorted by name. An
// engine that cannot be reached is no failure of the others: the list is whole
// but for it, and the error is Unasked.
func List(ctx context.Context, getenv func(string) string, allContexts bool) ([]Bottle, error) {
	root, err := state.Root(getenv)
	if err != nil {
		return nil, err
	}
	list, silent, err := records(root)
	if err != nil {
		return nil, err
	}
	engines, err := toAsk(ctx, getenv, list, allContexts)
	if err != nil {
		return nil, err
	}
	ask(ctx, engines)
	for _, a := range engines {
		if a.err != nil {
			if a.told {
				silent = append(silent, a.err)
			}
			continue
		}
		list = join(root, list, a)
	}
	slices.SortFunc(list, func(a, b Bottle) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	if len(silent) > 0 {
		return list, silent
	}
	return list, nil
}

// records are the bottles that this machine's records name, and those that cannot
// be read.
func records(root string) (list []Bottle, silent Unasked, err error) {
	slugs, err := state.List(root)
	if err != nil {
		return nil, nil, err
	}
	for _, slug := range slugs {
		dir, err := state.At(root, slug)
		if err != nil {
			return nil, nil, err
		}
		r, err := dir.Load()
		if err != nil {
			silent = append(silent, err)
			continue
		}
		b := Bottle{Name: slug, Backend: r.Backend, Dir: dir, Record: r, ID: r.ID}
		if r.Backend == Docker {
			b.Engine = engineOf(r)
		}
		list = append(list, b)
	}
	return list, silent, nil
}

// toAsk are the engines, each once.
func toAsk(ctx context.Context, getenv func(string) string, list []Bottle, allContexts bool) ([]*asked, error) {
	var engines []*asked
	add := func(key state.Engine, told bool) {
		for _, a := range engines {
			if a.key == key {
				a.told = a.told || told
				return
			}
		}
		engines = append(engines, &asked{key: key, engine: docker.At(key.Program, key.Context, key.Host), told: told})
	}
	for _, b := range list {
		if b.Engine != nil && b.Record.Engine != nil {
			add(*b.Record.Engine, true)
		}
	}
	now := docker.Open(getenv, "")
	context, host, err := now.Where(ctx)
	if err != nil && (allContexts || Chosen(getenv, "")) {
		return nil, err
	}
	if err == nil {
		add(state.Engine{Program: now.Program, Context: context, Host: host}, allContexts || Chosen(getenv, ""))
	}
	if allContexts {
		names, err := now.Contexts(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name != "default" || host == "" { // else it is DOCKER_HOST's, which is there already
				add(state.Engine{Program: now.Program, Context: name}, true)
			}
		}
	}
	return engines, nil
}

// ask asks all at once.
func ask(ctx context.Context, engines []*asked) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	var wg sync.WaitGroup
	for _, a := range engines {
		wg.Go(func() { a.containers, a.err = a.engine.Containers(ctx, LabelName) })
	}
	wg.Wait()
}

// join puts what one engine has answered into the list. Two contexts may lead to
// one engine, so a bottle that is in the list by its ID is the same one.
func join(root string, list []Bottle, a *asked) []Bottle {
	bySlug := map[string][]docker.Container{}
	for _, c := range a.containers {
		bySlug[c.Labels[LabelName]] = append(bySlug[c.Labels[LabelName]], c)
	}
	for slug, containers := range bySlug {
		dir, err := state.At(root, slug)
		if err != nil {
			continue // no bottle of ours: its name could be no folder
		}
		for _, b := range group(a.engine, dir, containers) {
			i := slices.IndexFunc(list, func(o Bottle) bool { return o.Engine != nil && o.ID == b.ID && o.Name == slug })
			if i < 0 {
				list = append(list, b)
			} else if list[i].Containers == nil {
				list[i].Containers = b.Containers
			}
		}
	}
	return list
}

// sortLively puts what runs first, and of that what was started last.
func sortLively(list []Bottle) {
	slices.SortStableFunc(list, func(a, b Bottle) int {
		if ra, rb := a.Running(), b.Running(); ra != rb {
			if ra {
				return -1
			}
			return 1
		}
		return b.started().Compare(a.started())
	})
}

// String is how a bottle is named where its engine matters too.
func (b *Bottle) String() string {
	if b.Engine == nil {
		return fmt.Sprintf("%s (%s)", b.Name, b.Backend)
	}
	return fmt.Sprintf("%s on %v", b.Name, b.Engine)
}
