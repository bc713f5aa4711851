package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/escape"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// sweep removes the objects of one run, by label: containers, then networks and
// volumes, which the containers hold. With keep the agent's container and its
// workspace stay.
func sweep(ctx context.Context, e *docker.Engine, id string, keep bool) error {
	list, err := e.Containers(ctx, labelID+"="+id)
	if err != nil {
		return err
	}
	var ids []string
	for _, c := range list {
		if bottles.Genuine(c) && !(keep && c.Labels[labelRole] == roleAgent) {
			ids = append(ids, c.Name)
		}
	}
	var faults []error
	// The agent's first: podman removes no container whose network another one has.
	agent := func(name string) bool { return strings.HasSuffix(name, "-"+roleAgent) }
	for _, group := range [][]string{slices.DeleteFunc(slices.Clone(ids), func(n string) bool { return !agent(n) }), slices.DeleteFunc(ids, agent)} {
		if len(group) > 0 {
			// With volumes: an image may have some without a name.
			_, err := e.Output(ctx, nil, append([]string{"rm", "--force", "--volumes"}, group...)...)
			faults = append(faults, err)
		}
	}
	for _, kind := range []string{"network", "volume"} {
		out, err := e.Output(ctx, nil, kind, "ls", "--format", "{{.Name}}", "--filter", "label="+labelID+"="+id)
		names := slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool {
			return keep && (strings.HasSuffix(name, "-"+volWork) || strings.HasSuffix(name, "-"+volRun))
		})
		if len(names) > 0 && err == nil {
			_, err = e.Output(ctx, nil, append([]string{kind, "rm"}, names...)...)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// A made is a network or a volume of a bottle.
type made struct {
	Labels  map[string]string
	Created time.Time
}

// labelled are the networks or volumes with a label.
func labelled(ctx context.Context, e *docker.Engine, kind, label string) ([]made, error) {
	out, err := e.Output(ctx, nil, kind, "ls", "--quiet", "--filter", "label="+label)
	names := strings.Fields(string(out))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	format := `{"Labels":{{json .Labels}},"Created":{{json .Created}}}`
	if kind == "volume" {
		format = strings.Replace(format, ".Created", ".CreatedAt", 1)
	}
	out, err = e.Output(ctx, nil, append([]string{kind, "inspect", "--format", format}, names...)...)
	if said := (*docker.Error)(nil); err != nil && !errors.As(err, &said) { // one may have gone meanwhile
		return nil, err
	}
	var list []made
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var o made
		if err := dec.Decode(&o); err == io.EOF {
			return list, nil
		} else if err != nil {
			return list, fmt.Errorf("%s inspect: %w", kind, err)
		}
		list = append(list, o)
	}
}

// evict makes room for a start: what a dead launcher left of this name goes, its
// work saved; what another one runs is a refusal.
func (d *dock) evict() error {
	runs, err := findRuns(d.ctx, d.engine, labelName+"="+d.name)
	if err != nil {
		return err
	}
	for _, run := range runs {
		alive, doubt, err := run.alive(d.ctx, d.engine)
		if err != nil {
			return err
		}
		if alive {
			return cli.Refusedf("bottle %s runs already on %v: launcher %s on host %s%s\nhint: bottlerun stop %s, or choose another name",
				d.name, d.engine, run.labels[labelPid], run.host(), doubt, d.name)
		}
		if err := run.remove(d.ctx, d.env, d.engine, d.root); err != nil {
			return err
		}
	}
	return nil
}

// A remains is what an engine has of one run of a bottle.
type remains struct {
	labels     map[string]string // of any of its objects
	containers []docker.Container
	objects    int
	newest     time.Time // when the last of them was made, by the engine's clock
}

// add counts one more object.
func (r *remains) add(labels map[string]string, made time.Time) {
	r.objects++
	if r.labels == nil {
		r.labels = labels
	}
	if made.After(r.newest) {
		r.newest = made
	}
}

// findRuns are the runs of which an engine has anything, by the filter label.
func findRuns(ctx context.Context, e *docker.Engine, filter string) (map[string]*remains, error) {
	runs := map[string]*remains{}
	of := func(labels map[string]string, made time.Time) *remains {
		id := labels[labelID]
		if runs[id] == nil {
			runs[id] = &remains{}
		}
		runs[id].add(labels, made)
		return runs[id]
	}
	list, err := e.Containers(ctx, filter)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if !bottles.Genuine(c) {
			continue // of an image that has such labels
		}
		r := of(c.Labels, c.Created)
		r.containers = append(r.containers, c)
	}
	for _, kind := range []string{"network", "volume"} {
		found, err := labelled(ctx, e, kind, filter)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			of(o.Labels, o.Created)
		}
	}
	delete(runs, "")
	return runs, nil
}

// cleanDocker is cleanStale for a bottle of the docker backend.
func cleanDocker(env *cli.Env, dir state.Dir, rec state.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), copyTimeout)
	defer cancel()
	e := engineOf(rec)
	runs, err := findRuns(ctx, e, labelID+"="+rec.ID)
	if err != nil {
		return fmt.Errorf("what is left of bottle %s: %w", dir.Name(), err)
	}
	for _, r := range runs {
		if err := r.remove(ctx, env, e, filepath.Dir(string(dir))); err != nil {
			return err
		}
	}
	if err := sandbox.CleanWorkspace(rec.Workspace); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return remove(dir.Record())
}

// engineOf is the engine of a record.
func engineOf(rec state.Record) *docker.Engine {
	if rec.Engine == nil {
		return docker.At("", "", "")
	}
	return docker.At(rec.Engine.Program, rec.Engine.Context, rec.Engine.Host)
}

// settled is how long a bottle may take from its last object to its first part that
// runs: a workspace is copied in between.
const settled = copyTimeout + 5*time.Minute

// alive tells a run with a launcher. On this machine the process is asked. A
// launcher of another one is there while something runs, since the parts end with
// it, and in doubt while it could still be starting.
func (r *remains) alive(ctx context.Context, e *docker.Engine) (alive bool, doubt string, err error) {
	host, _ := os.Hostname()
	if r.labels[labelHost] == host && r.labels[labelBoot] == state.Boot() {
		pid, err1 := strconv.Atoi(r.labels[labelPid])
		start, err2 := strconv.ParseUint(r.labels[labelStart], 10, 64)
		return err1 == nil && err2 == nil && (state.Part{Pid: pid, Start: start}).Alive(), "", nil
	}
	for _, c := range r.containers {
		if c.Running() {
			return true, "", nil
		}
	}
	now, err := e.Now(ctx)
	if err != nil {
		return false, "", fmt.Errorf("whether bottle %s is starting on host %s cannot be told: %w", r.labels[labelName], r.host(), err)
	}
	doubt = r.starting(now)
	return doubt != "", doubt, nil
}

// starting is why a run of which nothing runs may be one that starts elsewhere: none
// of its parts has run yet.
func (r *remains) starting(now time.Time) string {
	for _, c := range r.containers {
		if !c.Started.IsZero() {
			return ""
		}
	}
	left := r.newest.Add(settled).Sub(now)
	if left <= 0 {
		return ""
	}
	return fmt.Sprintf("; nothing of it has run yet, and it may be starting there: a part of it was made %v ago; if nothing comes of it, 'bottlerun gc' takes it in %v",
		max(0, now.Sub(r.newest)).Round(time.Second), left.Round(time.Second))
}

// host is the launcher's, as its label says.
func (r *remains) host() string { return escape.Text(r.labels[labelHost], 0) }

// remove saves what the agent did to its workspace, and removes the rest. It looks
// twice: an engine finishes what a client that was killed has asked for.
func (r *remains) remove(ctx context.Context, env *cli.Env, e *docker.Engine, root string) error {
	slug, id := r.labels[labelName], r.labels[labelID]
	dir, err := state.At(root, slug)
	if err != nil {
		return err
	}
	for _, c := range r.containers {
		if c.Labels[labelRole] != roleAgent || c.Started.IsZero() {
			continue
		}
		file, err := saveWork(ctx, e, c, dir, id)
		if err != nil {
			return fmt.Errorf("bottle %s: its workspace could not be saved, so nothing was removed: %w", slug, err)
		}
		if file != "" {
			note(env, "bottle %s: what its agent left of the workspace is in %s\nhint: unpack it in a folder of its own: masked files are empty in it, and protected ones are the agent's", slug, file)
		}
	}
	for again := range 2 {
		if again > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		if err := sweep(ctx, e, id, false); err != nil {
			return err
		}
	}
	return nil
}

// saveWork keeps the workspace of an agent's container as a tar file in the
// bottle's folder. It is "" where the workspace was bound.
func saveWork(ctx context.Context, e *docker.Engine, c docker.Container, dir state.Dir, id string) (string, error) {
	if c.Labels[labelCopied] == "" {
		return "", nil
	}
	if c.Running() {
		if _, err := e.Output(ctx, nil, "kill", c.ID); err != nil && !errors.Is(err, docker.ErrNotRunning) {
			return "", err
		}
	}
	if err := dir.MakeOperator(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	file := dir.In("workspace-" + id + ".tar")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	var notes strings.Builder
	cmd := e.Command(ctx, "cp", c.ID+":"+workRoot+"/"+dir.Name(), "-")
	cmd.Stdout, cmd.Stderr = f, &notes
	if err := errors.Join(cmd.Run(), f.Sync(), f.Close()); err != nil {
		os.Remove(file)
		return "", fmt.Errorf("docker cp: %w %s", err, strings.TrimSpace(notes.String()))
	}
	return file, nil
}
