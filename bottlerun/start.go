package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/ca"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/lent"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// A running is a bottle from its first file to the last.
type running struct {
	*plan
	env     *cli.Env
	jail    jail
	place   place // the jail of a backend whose parts are processes here
	parts   []*part
	died    chan mortal
	told    atomic.Bool // the parts are to end
	signals chan os.Signal
	record  state.Record
	// runID and runEngine are of the docker backend, for the record.
	runID     string
	runEngine *state.Engine
	authority chan error // ca, key and pem are there
	ca, key   []byte     // the authority's
	pem       []byte     // the bundle
	watch     *watch
	group     *sandbox.Group // of the local backend, where the manifest has limits for one
	// pipelockAddr is where the bottle's pipelock listens.
	pipelockAddr string
}

// A mortal is a part that has ended although nobody asked it to.
type mortal interface {
	death() error // says how
}

// grace is how long the agent may go on after TERM or HUP.
const grace = 10 * time.Second

// forwarded are the signals that are the agent's.
var forwarded = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// start carries the plan out. Everything is there and healthy before the agent
// runs; whatever ends it, all is taken down in reverse.
func start(_ context.Context, env *cli.Env, p *plan) error {
	if err := p.dir.Make(); err != nil {
		return err
	}
	release, err := p.dir.Hold()
	if errors.Is(err, state.ErrRunning) {
		return cli.Refused(p.whoRuns())
	}
	if err != nil {
		return err
	}
	defer release()
	r := &running{plan: p, env: env, died: make(chan mortal, 8), signals: make(chan os.Signal, 16),
		watch: newWatch(env, p)}
	signal.Notify(r.signals, forwarded...)
	defer signal.Stop(r.signals)
	// With SIGPIPE caught, a reader of ours that is gone is an error of write(2);
	// otherwise it would end us without a teardown.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	defer r.takeDown()
	for _, step := range r.steps() {
		if err := r.interrupted(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	if err := r.back.tell(); err != nil {
		return err
	}
	return r.attend()
}

// steps are those of a start, in order. Each backend has its own; what they leave
// is a jail with the agent in it.
func (r *running) steps() []func() error {
	if r.backend == backendDocker {
		d := newDock(r)
		r.jail = d
		return append(append([]func() error{r.clean}, d.steps()...), r.letGo)
	}
	// The jail is built, by its own first process, while the parts get ready; what
	// they are to serve reaches them then.
	return []func() error{r.beginAhead, r.clean, r.openRecord, r.openJail, r.awaitAuthority, r.beginJail,
		r.writeState, r.startPipelock, r.startProxy, r.startSuperviser, r.awaitJail, r.lend, r.fillRecord, r.letGo}
}

// whoRuns names the holder of a name that is taken.
func (p *plan) whoRuns() error {
	rec, err := p.dir.Load()
	if err != nil {
		return fmt.Errorf("bottle %s: another launcher is starting or ending it", p.name)
	}
	return fmt.Errorf("bottle %s runs already: launcher %d since %s, workspace %s\nhint: bottlerun stop %s, or choose another name",
		p.name, rec.Launcher.Pid, rec.Started.Format(time.RFC3339), rec.Workspace, p.name)
}

// interrupted reports a signal, or the death of a part, that came before there was an
// agent for it.
func (r *running) interrupted() error {
	select {
	case sig := <-r.signals:
		return fmt.Errorf("%v: the bottle was not started", sig)
	case p := <-r.died:
		return p.death()
	default:
		return nil
	}
}

// clean removes what an earlier launcher of this name left.
func (r *running) clean() error {
	rec, err := r.dir.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r.dropSecrets()
	case err != nil:
		return err
	}
	return cleanStale(r.env, r.dir, rec)
}

// beginAhead has made what takes its time, while the workspace is looked at: the
// bottle's authority, a new one for each run, and what root's workspace needs.
func (r *running) beginAhead() error {
	if r.backend == backendLocal {
		r.policy.Begin(r.work)
	}
	r.authority = make(chan error, 1)
	go func() { r.authority <- r.makeAuthority() }()
	return nil
}

func (r *running) awaitAuthority() error { return <-r.authority }

func (r *running) makeAuthority() (err error) {
	if r.ca, r.key, err = ca.New("bottle "+r.name, time.Now()); err != nil {
		return err
	}
	if r.pem, err = ca.Bundle(r.ca); err != nil {
		// A bare container has no certificates either: told is what matters.
		if cause := sandbox.Probe(); cause != nil && r.backend == backendLocal {
			return cause
		}
		return err
	}
	return nil
}

// writeState writes what the parts read: the table, the authority, the manifest,
// all anew at each start.
func (r *running) writeState() error {
	for _, old := range []string{r.dir.Next(), r.dir.Status()} {
		if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range []struct {
		path string
		data []byte
		mode fs.FileMode
	}{
		{r.dir.Routes(), r.table.Encode(), 0o600},
		{r.dir.CACert(), r.ca, 0o600},
		{r.dir.CAKey(), r.key, 0o600},
		{r.dir.Manifest(), r.text, 0o600},
	} {
		if err := atomicfile.Swap(f.path, f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (r *running) openJail() error {
	r.place = &localJail{plan: r.plan, env: r.env, watch: r.watch, group: r.group}
	if r.backend == backendEnv {
		r.place = &envJail{plan: r.plan, env: r.env}
	}
	r.jail = r.place
	return r.place.open()
}

func (r *running) beginJail() error { return r.place.begin(r.ca, r.pem) }

func (r *running) awaitJail() error { return r.place.built() }

// lend hands the listeners to the parts, which have waited for them.
func (r *running) lend() error {
	for _, p := range r.parts {
		if err := p.lend(); err != nil {
			return err
		}
	}
	return nil
}

func (r *running) startProxy() error {
	upstream := ""
	if r.pipelockAddr != "" {
		upstream = "http://" + r.pipelockAddr
	}
	var tokens []string
	for slot, value := range r.tokens {
		tokens = append(tokens, slot+"="+value) // in the environment: on no disk
	}
	return r.add("egress-proxy", r.proxy, r.proxyArgs(upstream), r.partEnv(tokens...), r.place.proxy)
}

func (r *running) startSuperviser() error {
	return r.add("superviser", r.super, r.superviserArgs(r.jail.proxyURL()), r.partEnv(), r.place.super)
}

// add starts a part that is to serve what listener gives, once that is there.
func (r *running) add(name, path string, args, env []string, listener func() *os.File) error {
	lender, theirs, err := lent.New()
	if err != nil {
		return err
	}
	defer theirs.Close()
	p, err := startPart(name, r.dir.Log(name), path, args, env, r.died, theirs)
	if err != nil {
		lender.Close()
		return err
	}
	p.lender, p.listener = lender, listener
	r.parts = append(r.parts, p)
	return nil
}

// openRecord says that this bottle exists, before anything is made that a next
// launcher would have to clean up.
func (r *running) openRecord() error {
	r.findGroup()
	r.record = state.Record{Name: r.name, Backend: r.backend, Started: time.Now().UTC().Truncate(time.Second), Boot: state.Boot(),
		Launcher: state.Self(), Parts: map[string]state.Part{}, Slots: slices.Sorted(maps.Keys(r.slots)), Workspace: r.work, Command: r.command,
		ID: r.runID, Engine: r.runEngine}
	if r.group != nil {
		r.record.Group = r.group.Dir()
	}
	return r.dir.Save(r.record)
}

// fillRecord tells the operator's tools what runs. Before the agent does: its
// first proposal may be approved at once.
func (r *running) fillRecord() error {
	r.record.ProxyURL = r.jail.proxyURL()
	for _, p := range r.parts {
		r.record.Parts[p.name] = p.id()
	}
	return r.dir.Save(r.record)
}

// letGo starts the agent once all is healthy, unless a part dies or a signal
// comes meanwhile.
func (r *running) letGo() error {
	done := make(chan error, 1)
	go func() { done <- r.jail.letGo() }()
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case p := <-r.died:
		r.jail.kill()
		<-done
		return p.death()
	case sig := <-r.signals:
		r.jail.kill()
		<-done
		return fmt.Errorf("%v: the bottle was not started", sig)
	}
	if gone := r.jail.gone(); gone != nil {
		go func() {
			<-gone
			r.tellParts()
		}()
	}
	if id, err := state.PartOf(r.jail.pid()); err == nil {
		r.record.Parts["agent"] = id
	}
	r.record.SelfTest = selfTest(r.jail.tested())
	return r.dir.Save(r.record)
}

// selfTest is the result for the record.
func selfTest(trials []sandbox.Trial) *state.SelfTest {
	if len(trials) == 0 {
		return nil
	}
	t := &state.SelfTest{At: time.Now().UTC().Truncate(time.Second)}
	for _, trial := range trials {
		t.Trials = append(t.Trials, state.Trial(trial))
	}
	return t
}

// attend passes signals on until the agent ends, and ends it when a part does.
func (r *running) attend() error {
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		code, err := r.jail.wait()
		ended <- end{code, err}
	}()
	over, unwatch := r.watch.over()
	defer unwatch()
	defer sandbox.Settle()()
	losses, unheld := watchWork(r.jail)
	defer unheld()
	var late <-chan time.Time
	killed := false
	for {
		select {
		case e := <-ended:
			if killed {
				e = end{code: 128 + int(syscall.SIGKILL)}
			}
			if e.err != nil {
				return e.err
			}
			return cli.Exit(e.code, silentUnless(e.code))
		case p := <-r.died:
			if r.told.Load() {
				continue
			}
			r.jail.kill()
			<-ended
			return fmt.Errorf("%w\nthe agent had no way out any more; the bottle was taken down", p.death())
		case l := <-losses:
			if l.Told {
				noteLoss(r.env, l)
				continue
			}
			r.jail.kill()
			<-ended
			return lossError(l)
		case sig := <-r.signals:
			r.jail.signal(sig)
			if late == nil && (sig == syscall.SIGTERM || sig == syscall.SIGHUP) {
				late = time.After(grace)
			}
		case why := <-over:
			note(r.env, "%s; it is told to end", why)
			r.jail.signal(syscall.SIGTERM)
			if late == nil {
				late = time.After(grace)
			}
		case <-late:
			note(r.env, "the agent did not end within %v; it is killed", grace)
			r.jail.kill()
			late, killed = nil, true
		}
	}
}

// silentUnless is the error that passes the agent's code on without a word.
func silentUnless(code int) error {
	if code == 0 {
		return nil
	}
	return cli.Silent
}

// takeDown ends what still runs, the agent first, and removes what was for
// this run only. The logs and the last table stay.
func (r *running) takeDown() {
	if r.jail != nil {
		r.jail.close()
	}
	r.tellParts()
	for i := len(r.parts) - 1; i >= 0; i-- {
		r.parts[i].stop()
	}
	if err := r.dropSecrets(); err != nil {
		note(r.env, "%v", err)
	}
	if err := os.Remove(r.dir.Record()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		note(r.env, "%v", err)
	}
}

// tellParts has all of them end at once: with the agent gone none needs another.
func (r *running) tellParts() {
	r.told.Store(true)
	for _, p := range r.parts {
		p.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// dropSecrets removes the authority's key, the bundle and the tokens.
func (p *plan) dropSecrets() error { return dropSecrets(p.dir) }

// note is a line for the operator. Standard output is the agent's.
func note(env *cli.Env, format string, args ...any) {
	fmt.Fprintf(env.Stderr, "%s: %s\n", env.Prog, escape.Lines(fmt.Sprintf(format, args...)))
}
