package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Contexts are the names of docker's contexts, sorted: the engines that the
// operator has told docker of.
func (e *Engine) Contexts(ctx context.Context) ([]string, error) {
	if e.Podman() {
		return nil, errors.New("podman has no contexts; wanted docker's command line")
	}
	out, err := (&Engine{Program: e.Program, Env: e.Env}).Output(ctx, nil, "context", "ls", "--format", "{{json .}}")
	if err != nil {
		return nil, err
	}
	var names []string
	err = eachJSON(out, func(c struct{ Name string }) { names = append(names, c.Name) })
	slices.Sort(names)
	return slices.Compact(names), err
}

// Where says which engine a call goes to, in a way that At finds again from
// another shell: the context, or "" with the host of DOCKER_HOST.
func (e *Engine) Where(ctx context.Context) (context, host string, err error) {
	if e.Podman() || e.Context == "" && e.host() != "" {
		return "", e.host(), nil
	}
	if e.Context != "" {
		if e.Context == "default" {
			host = e.host() // what the default context means then
		}
		return e.Context, host, nil
	}
	// Not "context show": the CLI of 20.10 has none.
	out, err := e.Output(ctx, nil, "context", "ls", "--format", "{{json .}}")
	if err != nil {
		return "", "", err
	}
	err = eachJSON(out, func(c struct {
		Name    string
		Current bool
	}) {
		if c.Current {
			context = c.Name
		}
	})
	if err == nil && context == "" {
		err = errors.New("docker context ls: none of them is the current one; wanted one, for which engine this is")
	}
	return context, "", err
}

// Place is the context and the host that e was given; both "" for what the CLI
// chooses by itself.
func (e *Engine) Place() (context, host string) { return e.Context, e.host() }

// At is the engine that Where described: whatever the environment says now.
func At(program, context, host string) *Engine {
	e := &Engine{Program: program, Context: context}
	if e.Podman() {
		// Podman takes an empty one for an address.
		if e.Env = []string{"CONTAINER_HOST"}; host != "" {
			e.Env = []string{"CONTAINER_HOST=" + host}
		}
		return e
	}
	e.Env = []string{"DOCKER_HOST=" + host, "DOCKER_CONTEXT="}
	return e
}

// Now is the engine's clock, which it dates its objects by. Podman does not tell it;
// its engine is on this machine as a rule.
func (e *Engine) Now(ctx context.Context) (now time.Time, err error) {
	if e.Podman() {
		return time.Now(), nil
	}
	out, err := e.Output(ctx, nil, "info", "--format", "{{json .SystemTime}}")
	if err == nil {
		err = json.Unmarshal(out, &now)
	}
	if err == nil && now.IsZero() {
		err = fmt.Errorf("%s info: %q; wanted the engine's time", e.program(), out)
	}
	return now, err
}
