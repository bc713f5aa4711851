package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A bench is one run.
type bench struct {
	*options
	world    *world
	targets  []*target
	progress io.Writer
	report   report
}

// run starts the targets, gives each its turns, and writes the report.
func (b *bench) run(ctx context.Context, out io.Writer) error {
	defer func() {
		for _, t := range b.targets {
			t.stop()
		}
	}()
	began := time.Now()
	err := b.gather(ctx)
	for _, c := range cells {
		if err != nil || !slices.Contains(b.cells, c.name) {
			continue
		}
		if c.unseen && b.world.Many == "" {
			b.leave(c.name, "hosts that nobody has seen need the names of a namespace")
			continue
		}
		b.cell(ctx, c)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted; what was started has been ended")
	}
	if err != nil {
		return err
	}
	b.report.Seconds = time.Since(began).Seconds()
	return b.report.write(out, b.md, b.json)
}

// gather starts every target that is there and tells of the others.
func (b *bench) gather(ctx context.Context) error {
	for _, name := range b.options.targets {
		t, err := newTarget(name, b.world)
		if err == nil {
			err = t.start(ctx)
		}
		if err == nil {
			err = t.checkCredential(ctx)
		}
		if err != nil {
			t.stop()
			b.leave(name, err.Error())
			continue
		}
		b.targets = append(b.targets, t)
		b.report.Targets = append(b.report.Targets, targetInfo{t.name, t.version, t.note()})
		fmt.Fprintf(b.progress, "%s is ready\n", t.name)
	}
	if len(b.targets) == 0 {
		return fmt.Errorf("no target is left; wanted one of %s", strings.Join(b.options.targets, ", "))
	}
	return b.report.chooseBase()
}

func (b *bench) leave(what, why string) {
	line := what + ": " + why
	b.report.Left = append(b.report.Left, line)
	fmt.Fprintln(b.progress, "left out:", line)
}

// cell gives every target its turn in every round, in random order, so that a
// slow moment of the machine hits all alike. Who fails has no further turn in
// this cell.
func (b *bench) cell(ctx context.Context, c *cell) {
	failed := map[string]bool{}
	for round := range b.rounds {
		for _, i := range rand.Perm(len(b.targets)) {
			t := b.targets[i]
			if failed[t.name] || c.process && t.peer == nil {
				continue
			}
			s := &sample{Cell: c.name, Target: t.name, Round: round}
			v, err := c.run(&lap{ctx: ctx, target: t, options: b.options})
			if ctx.Err() != nil {
				return
			}
			if s.Values = v; err != nil {
				s.Values, s.Error, failed[t.name] = nil, err.Error(), true
				t.restart(ctx) // whatever state the failure left it in
			}
			b.report.Samples = append(b.report.Samples, s)
			fmt.Fprintf(b.progress, "%-5s %d %-12s %s\n", c.name, round+1, t.name, c.brief(s))
		}
	}
}
