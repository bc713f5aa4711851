package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"slices"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/risk"
)

// A desk is what an operator's verb looks at: one bottle or queue when it is
// named, else every bottle that runs.
type desk struct {
	env *cli.Env
	one place
	all bool // of all of docker's contexts
}

func (d *desk) addFlags(fs *flag.FlagSet) {
	d.one.addFlags(fs)
	fs.BoolVar(&d.all, "all", false, "")
}

// check refuses flags that exclude each other.
func (d *desk) check() error {
	if d.named() && d.all || d.one.bottle != "" && d.one.queue != "" || d.one.context != "" && d.one.bottle == "" {
		return cli.Misused("wanted -bottle NAME [-context C], -queue DIR, -all, or none of them for the bottles that run")
	}
	return nil
}

func (d *desk) named() bool { return d.one.bottle != "" || d.one.queue != "" }

// places are where to look. An engine that cannot be asked is a fault, and the
// others are looked at.
func (d *desk) places(ctx context.Context) (places []*place, faults []error, err error) {
	if d.named() {
		at := d.one
		if err := at.find(ctx, d.env); err != nil {
			return nil, nil, err
		}
		return []*place{&at}, nil, nil
	}
	list, err := bottles.List(ctx, d.env.Getenv, d.all)
	var silent bottles.Unasked
	if errors.As(err, &silent) {
		faults, err = silent, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for i := range list {
		if b := &list[i]; b.Running() {
			places = append(places, placeOf(b))
		}
	}
	return places, faults, nil
}

// placeOf is the place of a bottle that was found.
func placeOf(b *bottles.Bottle) *place {
	at := &place{bottle: b.Name, dir: b.Dir}
	if b.Engine != nil {
		at.docker = b
		if b.Record.Name == "" {
			at.context = b.Engine.Context // no record leads the other programs there
		}
	}
	at.fill()
	return at
}

// waits is a pending proposal where it was found. With a fault it could not be
// compared with what the bottle has.
type waits struct {
	at *place
	view
	fault error
}

// level is how far it reaches; in doubt, the furthest.
func (w *waits) level() risk.Level {
	if w.Level == "" {
		return risk.Critical + 1
	}
	return risk.Max(w.risks)
}

// waiting are the proposals of a place that wait, in the order in which they were
// filed. Bad are files that are none.
func waiting(ctx context.Context, env *cli.Env, at *place) (list []waits, bad []error, err error) {
	q, err := at.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer q.Close()
	records, bad, err := q.Pending()
	if err != nil || len(records) == 0 {
		return nil, bad, err
	}
	for _, r := range records {
		w := waits{at: at}
		w.view, w.fault = look(ctx, env, at, r)
		w.Record = r
		list = append(list, w)
	}
	return list, bad, nil
}

// byRisk sorts what reaches furthest to the top, then what is newest.
func byRisk(list []waits) {
	slices.SortStableFunc(list, func(a, b waits) int {
		return cmp.Or(cmp.Compare(b.level(), a.level()), b.Filed.Compare(a.Filed), cmp.Compare(a.at.bottle, b.at.bottle), cmp.Compare(a.ID, b.ID))
	})
}

// fold keeps of those for the same subject of the same bottle the first, and
// counts how many it stands for.
func fold(list []waits) (kept []waits, counts []int) {
	type key struct{ bottle, queue, component, subject string }
	at := map[key]int{}
	for _, w := range list {
		k := key{w.at.bottle, w.at.queue, w.Component, subject(w.Record)}
		if i, ok := at[k]; ok {
			counts[i]++
			continue
		}
		at[k] = len(kept)
		kept, counts = append(kept, w), append(counts, 1)
	}
	return kept, counts
}

// decidedOf are the decided proposals of a place, the last decision first.
func decidedOf(ctx context.Context, at *place) (list []waits, bad []error, err error) {
	q, err := at.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer q.Close()
	records, bad, err := q.Decided()
	slices.SortStableFunc(records, func(a, b proposal.Record) int { return b.Decision.Time.Compare(a.Decision.Time) })
	for _, r := range records {
		list = append(list, waits{at: at, view: view{Record: r}})
	}
	return list, bad, err
}
