package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
)

// How often watch looks: at a folder, at a container, and for bottles.
const (
	lookHere      = 200 * time.Millisecond
	lookThere     = 2 * time.Second
	lookForOthers = 5 * time.Second
)

// An event is one line of watch.
type event struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"` // proposed, approved, rejected, gone
	Bottle    string    `json:"bottle,omitempty"`
	ID        string    `json:"id"`
	Component string    `json:"component"`
	Level     string    `json:"level,omitempty"` // of proposed
	Subject   string    `json:"subject"`
	Text      string    `json:"text,omitempty"` // the justification, or the operator's reason
	Operator  string    `json:"operator,omitempty"`
	Risks     []string  `json:"risks,omitempty"`
}

// watch prints one line per event until it is interrupted: what waits at the
// start, then each proposal and each decision.
func watch(ctx context.Context, env *cli.Env) error {
	d := desk{env: env}
	fs := env.Flags()
	d.addFlags(fs)
	asJSON := fs.Bool("json", false, "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	w := watcher{desk: &d, print: func(e event) error { return printEvent(env, e, *asJSON) }, told: map[string]bool{}}
	for ctx.Err() == nil {
		if err := w.step(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		pause(ctx, lookHere)
	}
	return nil
}

// A watcher is one run of watch.
type watcher struct {
	desk  *desk
	print func(event) error

	watched []*watched
	asked   time.Time       // when the bottles were last looked for
	told    map[string]bool // faults that were named
}

// watched is one queue, as it was when it was last read.
type watched struct {
	*place
	read   time.Time
	stamp  [2]time.Time // of the two folders
	states map[string]proposal.Record
}

// step looks at all there is to see.
func (w *watcher) step(ctx context.Context) error {
	if w.watched == nil || !w.desk.named() && time.Since(w.asked) > lookForOthers {
		if err := w.find(ctx); err != nil {
			return err
		}
	}
	for _, q := range w.watched {
		if !q.changed() {
			continue
		}
		if err := w.look(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// find has the watched queues be those that there are now.
func (w *watcher) find(ctx context.Context) error {
	places, faults, err := w.desk.places(ctx)
	if err != nil {
		return err
	}
	w.asked = time.Now()
	for _, err := range faults {
		w.fault(err)
	}
	known := w.watched
	w.watched = []*watched{}
	for _, at := range places {
		i := slices.IndexFunc(known, func(k *watched) bool { return k.dir == at.dir && k.queue == at.queue && k.context == at.context })
		if i < 0 {
			w.watched = append(w.watched, &watched{place: at})
			continue
		}
		known[i].place = at // a container of the same name may be another one
		w.watched = append(w.watched, known[i])
	}
	return nil
}

// fault names on stderr what could not be read, once.
func (w *watcher) fault(err error) {
	text := escape.Text(err.Error(), 0)
	if !w.told[text] && len(w.told) < 1000 {
		w.told[text] = true
		fmt.Fprintf(w.desk.env.Stderr, "superviser watch: left out: %s\n", text)
	}
}

// changed reports whether the queue is to be read again.
func (q *watched) changed() bool {
	if q.docker != nil {
		return time.Since(q.read) > lookThere
	}
	var stamp [2]time.Time
	for i, name := range []string{"pending", "decided"} {
		if fi, err := os.Stat(filepath.Join(q.queue, name)); err == nil {
			stamp[i] = fi.ModTime()
		}
	}
	// A change in the very tick of the clock in which it was read is not seen in
	// the time of the folder.
	if stamp == q.stamp && !q.read.Before(stamp[0].Add(time.Second)) && !q.read.Before(stamp[1].Add(time.Second)) {
		return false
	}
	q.stamp = stamp
	return true
}

// look prints what has become of the queue's proposals.
func (w *watcher) look(ctx context.Context, q *watched) error {
	first := q.states == nil
	q.read = time.Now()
	list, bad, err := waiting(ctx, w.desk.env, q.place)
	if err != nil && first && w.desk.named() {
		return err
	}
	if err != nil {
		w.fault(fmt.Errorf("%s: %w", or(q.bottle, q.queue), err))
		return nil
	}
	decided, more, err := decidedOf(ctx, q.place)
	if err != nil {
		w.fault(fmt.Errorf("%s: %w", or(q.bottle, q.queue), err))
		return nil
	}
	q.forget()
	for _, err := range append(bad, more...) {
		w.fault(err)
	}
	states, events := map[string]proposal.Record{}, []event(nil)
	for i := range list {
		states[list[i].ID] = list[i].Record
		if _, known := q.states[list[i].ID]; !known {
			events = append(events, proposedEvent(&list[i]))
		}
	}
	for i := range decided {
		r := decided[i].Record
		old, known := q.states[r.ID]
		_, pending := states[r.ID] // decided between the two looks
		states[r.ID] = r
		if first && !pending || known && old.Decision != nil {
			continue
		}
		if !known && !pending {
			events = append(events, proposedEvent(&decided[i]))
		}
		events = append(events, decidedEvent(q.place, r))
	}
	for id, r := range q.states {
		if _, there := states[id]; !there {
			events = append(events, event{Time: time.Now().UTC(), Event: "gone", Bottle: q.bottle, ID: id, Component: r.Component, Subject: subject(r)})
		}
	}
	q.states = states
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	for _, e := range events {
		if err := w.print(e); err != nil {
			return err
		}
	}
	return nil
}

func proposedEvent(w *waits) event {
	return event{Time: w.Filed.UTC(), Event: "proposed", Bottle: w.at.bottle, ID: w.ID, Component: w.Component,
		Level: w.Level, Subject: subject(w.Record), Text: w.Justification, Risks: w.Risks}
}

func decidedEvent(at *place, r proposal.Record) event {
	return event{Time: r.Decision.Time.UTC(), Event: r.State(), Bottle: at.bottle, ID: r.ID, Component: r.Component,
		Subject: subject(r), Text: r.Decision.Reason, Operator: r.Decision.Operator}
}

func printEvent(env *cli.Env, e event, asJSON bool) error {
	if asJSON {
		return printJSON(env, e)
	}
	_, err := fmt.Fprintf(env.Stdout, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Format(time.RFC3339), e.Event, or(e.Bottle, "-"), e.ID,
		e.Component, or(e.Level, "-"), escape.Text(e.Subject, 300), escape.Text(e.Text, 200))
	return err
}
