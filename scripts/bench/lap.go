package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// A lap is one turn of a target in a cell.
type lap struct {
	*options
	ctx    context.Context
	target *target
}

// values are what a lap found, by the keys of the cell's figures.
type values map[string]float64

// A meter takes the time, and the CPU time of the target's processes, from its
// start on.
type meter struct {
	lap   *lap
	began time.Time
	cpu   cpuTime
	rest  time.Duration // CPU time of the whole machine less that of the run
}

func (l *lap) start() meter {
	m := meter{lap: l, cpu: cpuOf(l.target.session()), rest: l.rest()}
	m.began = time.Now()
	return m
}

// stop returns the seconds that have passed, the CPU seconds of the target, and
// how many cores other work on the machine had meanwhile.
func (m meter) stop() (seconds, cpu, others float64) {
	seconds = time.Since(m.began).Seconds()
	cpu = cpuOf(m.lap.target.session()).since(m.cpu).Seconds()
	others = max(0, (m.lap.rest()-m.rest).Seconds()/seconds)
	return seconds, cpu, others
}

func (l *lap) rest() time.Duration {
	used := selfCPU() + cpuOf(l.target.origin.Process.Pid).stat
	if l.target.peer != nil {
		used += cpuOf(l.target.session()).stat
	}
	return machineBusy() - used
}

// A tally is what the workers of a lap did together.
type tally struct {
	delays               []time.Duration // sorted
	seconds, cpu, others float64
}

// together has n workers do op over and over until the lap's time is over, each
// at least once. op returns the delay that counts. The first failure ends its
// worker, and is the lap's.
func (l *lap) together(n int, op func(worker int) (time.Duration, error)) (*tally, error) {
	var wg sync.WaitGroup
	delays, errs := make([][]time.Duration, n), make([]error, n)
	m := l.start()
	for i := range n {
		wg.Go(func() {
			for {
				d, err := op(i)
				if err != nil {
					errs[i] = err
					return
				}
				delays[i] = append(delays[i], d)
				if time.Since(m.began) >= l.dur {
					return
				}
			}
		})
	}
	wg.Wait()
	y := &tally{}
	y.seconds, y.cpu, y.others = m.stop()
	y.delays = slices.Concat(delays...)
	slices.Sort(y.delays)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return y, nil
}

// timed makes an op of f whose delay is how long f took.
func timed(f func(worker int) error) func(int) (time.Duration, error) {
	return func(worker int) (time.Duration, error) {
		began := time.Now()
		err := f(worker)
		return time.Since(began), err
	}
}

// values are the tally's: CPU in cpuUnit a unit of work, of which each op was
// units many, and units a second.
func (y *tally) values(units, cpuUnit float64) values {
	n := float64(len(y.delays)) * units
	return values{
		"cpu": y.cpu / n / cpuUnit, "rate": n / y.seconds, "others": y.others,
		"p50": y.at(0.50), "p99": y.at(0.99),
	}
}

// at is the quantile q of the delays in microseconds.
func (y *tally) at(q float64) float64 {
	i := min(int(q*float64(len(y.delays))), len(y.delays)-1)
	return float64(y.delays[i].Nanoseconds()) / 1e3
}

// clients opens n connections to the known host, each with one request made.
func (l *lap) clients(n int) (clients, error) {
	var cs clients
	for range n {
		c, err := l.target.visit(l.ctx, l.target.Host)
		if err != nil {
			cs.Close()
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

type clients []*client

func (cs clients) Close() {
	for _, c := range cs {
		c.Close()
	}
}

// pause waits for d, or for the end of the run.
func (l *lap) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-l.ctx.Done():
		return errors.New("interrupted")
	}
}
