package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/review"
)

// lookAgain is how often a local bottle's proposals are compared anew though no
// file has changed: routes expire, and refusals come in.
const lookAgain = 5 * time.Second

// A lookout finds what waits on the operator's desk, for review. Each bottle is
// looked at on its own, so that one far away holds up no other.
type lookout struct {
	desk   *desk
	beside func(func()) // runs a function at the same time

	mu      sync.Mutex
	views   map[string]*outlook // by label
	faults  []string            // of engines that could not be asked
	changed chan struct{}       // there is something new
}

// An outlook is one bottle, and what waits there.
type outlook struct {
	watched
	label  string
	stop   context.CancelFunc
	poke   chan struct{}
	table  time.Time // of the table's file when it was read
	items  []review.Item
	faults []string
	looked bool
}

// news is what waits at one moment.
type news struct {
	items           []review.Item
	bottles, faults []string
}

func newLookout(d *desk) *lookout {
	return &lookout{desk: d, views: map[string]*outlook{}, changed: make(chan struct{}, 1)}
}

// labelOf tells bottles of one name apart.
func labelOf(at *place) string {
	if at.context != "" {
		return at.bottle + "@" + at.context
	}
	return at.bottle
}

// watch sends what waits, at once and whenever it has changed.
func (l *lookout) watch(ctx context.Context, to chan<- news, refused chan<- []review.Refusal) {
	l.beside(func() {
		for ctx.Err() == nil {
			l.find(ctx, refused)
			pause(ctx, lookForOthers)
		}
	})
	last := ""
	for {
		select {
		case <-l.changed:
		case <-ctx.Done():
			return
		}
		n, whole := l.news()
		is := n.print()
		if is == last || last == "" && !whole {
			continue
		}
		select {
		case to <- n:
			last = is
		case <-ctx.Done():
			return
		}
	}
}

// find has a view of each bottle that there is now, and of no other.
func (l *lookout) find(ctx context.Context, refused chan<- []review.Refusal) {
	places, faults, err := l.desk.places(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		faults = append(faults, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = nil
	for _, err := range faults {
		l.faults = append(l.faults, err.Error())
	}
	there := map[string]bool{}
	for _, at := range places {
		label := labelOf(at)
		there[label] = true
		if old := l.views[label]; old == nil || !old.is(at) {
			if old != nil {
				old.stop()
			}
			l.open(ctx, at, refused)
		}
	}
	for label, o := range l.views {
		if !there[label] && err == nil {
			o.stop()
			delete(l.views, label)
		}
	}
	l.tell()
}

// is reports whether o looks at the place: a container of the same name may be
// another one.
func (o *outlook) is(at *place) bool {
	if o.dir != at.dir || o.queue != at.queue || (o.docker == nil) != (at.docker == nil) {
		return false
	}
	return at.docker == nil || o.docker.ID == at.docker.ID
}

// open begins to look at a place.
func (l *lookout) open(ctx context.Context, at *place, refused chan<- []review.Refusal) {
	ctx, stop := context.WithCancel(ctx)
	o := &outlook{watched: watched{place: at}, label: labelOf(at), stop: stop, poke: make(chan struct{}, 1)}
	l.views[o.label] = o
	l.beside(func() { follow(ctx, at, o.label, refused) })
	l.beside(func() {
		for ctx.Err() == nil {
			if o.due() {
				l.look(ctx, o)
			}
			select {
			case <-o.poke:
				o.read = time.Time{}
			case <-time.After(lookHere):
			case <-ctx.Done():
			}
		}
	})
}

// due reports whether it is time to read the bottle again.
func (o *outlook) due() bool {
	if o.read.IsZero() {
		return true
	}
	var table time.Time
	if fi, err := os.Stat(o.dir.Status()); err == nil && o.docker == nil {
		table = fi.ModTime()
	}
	newTable := !table.Equal(o.table)
	o.table = table
	return newTable || o.changed() || len(o.items) > 0 && o.docker == nil && time.Since(o.read) > lookAgain
}

// look reads what waits in one bottle.
func (l *lookout) look(ctx context.Context, o *outlook) {
	var said tail
	env := *l.desk.env
	env.Stdout, env.Stderr = &said, &said // the screen is not theirs
	o.read = time.Now()
	at := *o.place
	at.forget()
	list, bad, err := waiting(ctx, &env, &at)
	if ctx.Err() != nil {
		return
	}
	var items []review.Item
	var faults []string
	for i := range list {
		items = append(items, itemOf(&list[i], o.label, said.String()))
	}
	if err != nil {
		bad = []error{err}
	}
	for i, err := range bad {
		if i == maxFaults {
			faults = append(faults, fmt.Sprintf("%s: %d more files that are no proposals", o.label, len(bad)-i))
			break
		}
		faults = append(faults, o.label+": "+err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		o.items = items // else what was there is not known to be gone
	}
	o.faults, o.looked = faults, true
	l.tell()
}

// itemOf is a proposal as the screen wants it. One that cannot be compared with
// what the bottle has can be rejected and not approved.
func itemOf(w *waits, label, said string) review.Item {
	it := review.Item{
		Bottle: label, ID: w.ID, Component: w.Component, Subject: subject(w.Record), Client: w.Client,
		Justification: w.Justification, Filed: w.Filed, Level: int(w.level()), Digest: w.Digest,
	}
	if w.fault != nil {
		it.Fault = strings.TrimSpace(w.fault.Error() + "\n" + said)
	}
	for _, r := range w.risks {
		it.Risks = append(it.Risks, review.Risk{Level: int(r.Level), Text: r.Text})
	}
	for _, c := range w.Changes {
		it.Changes = append(it.Changes, c.Text)
	}
	return it
}

func (l *lookout) tell() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// again has what is on the desk be read without a wait.
func (l *lookout) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.views {
		select {
		case o.poke <- struct{}{}:
		default:
		}
	}
}

// place is the place of the bottle with that label.
func (l *lookout) place(label string) (*place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.views[label]; o != nil {
		at := *o.place
		at.forget()
		return &at, nil
	}
	return nil, cli.Refusedf("the bottle %s does not run any more", label)
}

// news is all that the views have, and whether they have looked.
func (l *lookout) news() (n news, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, whole = news{faults: slices.Clone(l.faults)}, true
	for label, o := range l.views {
		whole = whole && o.looked
		n.bottles = append(n.bottles, label)
		n.items = append(n.items, o.items...)
		n.faults = append(n.faults, o.faults...)
	}
	slices.Sort(n.bottles)
	slices.Sort(n.faults)
	return n, whole
}

// print is different when news differ.
func (n news) print() string {
	lines := make([]string, 0, len(n.items))
	for i := range n.items {
		it := &n.items[i]
		lines = append(lines, it.Bottle+" "+it.ID+" "+it.Content())
	}
	slices.Sort(lines)
	return fmt.Sprintf("%q %q %q", lines, n.bottles, n.faults)
}
