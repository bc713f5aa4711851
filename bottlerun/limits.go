package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// A watch ends an agent that has run too long, or done nothing for too long.
type watch struct {
	idle, wall time.Duration // 0: no limit
	log        string        // the proxy's access log: a request is no idleness
	printed    atomic.Int64  // when the agent last printed, Unix nanoseconds
}

// newWatch is the plan's. A docker bottle's streams and its access log are the
// engine's, so idleness is not seen there, which is said.
func newWatch(env *cli.Env, p *plan) *watch {
	l := p.manifest.Limits
	o := &watch{idle: l.Idle, wall: l.Wall, log: p.dir.AccessLog()}
	if p.backend != backendLocal && l.Idle > 0 {
		note(env, "limits: the %s backend does not see whether its agent is idle; limits.wall works", p.backend)
		o.idle = 0
	}
	return o
}

// writer notes what is printed on its way to w.
func (o *watch) writer(w io.Writer) io.Writer {
	if o.idle == 0 {
		return w
	}
	o.printed.Store(time.Now().UnixNano())
	return printing{w, o}
}

type printing struct {
	io.Writer
	o *watch
}

// Write is the Writer's, with the time noted.
func (p printing) Write(b []byte) (int, error) {
	p.o.printed.Store(time.Now().UnixNano())
	return p.Writer.Write(b)
}

// over gets the reason once a limit is reached. stop ends the watching.
func (o *watch) over() (reason <-chan string, stop func()) {
	if o.idle == 0 && o.wall == 0 {
		return nil, func() {}
	}
	c, done, started := make(chan string, 1), make(chan struct{}), time.Now()
	go func() {
		for {
			left, why := o.left(started, time.Now())
			if left <= 0 {
				c <- why
				return
			}
			select {
			case <-done:
				return
			case <-time.After(left):
			}
		}
	}()
	return c, func() { close(done) }
}

// left is how long it may go on as things are, and which limit that is.
func (o *watch) left(started, now time.Time) (time.Duration, string) {
	left, why := time.Duration(1<<62), ""
	if o.wall > 0 {
		left, why = started.Add(o.wall).Sub(now), fmt.Sprintf("limits.wall: the agent has run for %v", o.wall)
	}
	if o.idle == 0 {
		return left, why
	}
	last := started
	if t := time.Unix(0, o.printed.Load()); t.After(last) {
		last = t
	}
	if fi, err := os.Stat(o.log); err == nil && fi.ModTime().After(last) {
		last = fi.ModTime()
	}
	if d := last.Add(o.idle).Sub(now); d < left {
		left, why = d, fmt.Sprintf("limits.idle: the agent has neither printed nor asked for anything for %v", o.idle)
	}
	return left, why
}

// groupLimits are the limits that take a control group with the local backend.
func (p *plan) groupLimits() (l sandbox.Limits, asked bool) {
	m := p.manifest.Limits
	return sandbox.Limits{Memory: m.Memory, Pids: uint64(m.Pids), CPUs: m.CPUs}, m.Memory > 0 || m.CPUs > 0
}

// findGroup finds who holds the limits, and says which limits nobody holds, rather
// than to seem to.
func (r *running) findGroup() {
	l, asked := r.groupLimits()
	switch {
	case r.backend == backendDocker: // the engine does
		return
	case r.backend == backendEnv && (asked || l.Pids > 0):
		note(r.env, "limits: the env backend bounds no memory, processors or processes")
	case r.backend == backendLocal && asked:
		var err error
		if r.group, err = sandbox.FindGroup(r.name, l, r.getenv); err != nil {
			note(r.env, "limits: nobody bounds the processes' memory and processors, only the temporary folders: %v", err)
		}
	}
}

// printLimits writes who would hold the limits, for -n.
func (p *plan) printLimits(line func(string, ...string)) {
	l, asked := p.groupLimits()
	if !asked {
		return
	}
	if g, err := sandbox.FindGroup(p.name, l, p.getenv); err == nil {
		line("limits", g.String())
	} else {
		line("limits", "nobody:", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
