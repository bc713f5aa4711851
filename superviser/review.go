package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/review"
	"bottle/pkg/term"

	"golang.org/x/sys/unix"
)

// reviewVerb is the operator's screen: pkg/review decides what is on it, this
// file joins it to the terminal, the queues and the other verbs.
func reviewVerb(ctx context.Context, env *cli.Env) error {
	d := desk{env: env}
	fs := env.Flags()
	d.addFlags(fs)
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	if d.one.queue != "" {
		return cli.Misused("wanted bottles, not -queue: what a proposal would change is seen in its bottle")
	}
	if _, _, err := d.places(ctx); err != nil {
		return err // of a name that is wrong, before the screen is taken
	}
	in, _ := env.Stdin.(*os.File)
	out, _ := env.Stdout.(*os.File)
	t, err := term.Open(in, out, term.InkOf(env.Getenv))
	if err != nil {
		return fmt.Errorf("%w\nhint: 'superviser list' and 'superviser show' print to whatever there is", err)
	}
	defer t.Leave()
	width, height := t.Size()
	r := &reviewer{env: env, term: t, lookout: newLookout(&d), screen: review.New(width, height, time.Now()),
		news: make(chan news), refused: make(chan []review.Refusal), done: make(chan result), broken: make(chan any)}
	r.lookout.beside = r.beside
	return r.run(ctx)
}

// A reviewer is one run of review. Its screen belongs to run; what goes on
// beside it sends what it has.
type reviewer struct {
	env     *cli.Env
	term    *term.Terminal
	screen  *review.Screen
	lookout *lookout

	news    chan news
	refused chan []review.Refusal
	done    chan result
	broken  chan any // a panic of what goes on beside

	resumed time.Time // when the terminal came back last
}

// result is what became of an action.
type result struct {
	ok   bool
	text string
}

// ageTick is how often ages are counted anew.
const ageTick = 10 * time.Second

func (r *reviewer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals := make(chan os.Signal, 8)
	// INT is no longer cli's: typed into an editor it is the editor's.
	signal.Reset(os.Interrupt)
	signal.Notify(signals, os.Interrupt, unix.SIGHUP, unix.SIGQUIT, unix.SIGWINCH, unix.SIGCONT)
	defer signal.Stop(signals)
	r.beside(func() { r.lookout.watch(ctx, r.news, r.refused) })
	tick := time.NewTicker(ageTick)
	defer tick.Stop()
	for {
		if err := r.draw(); err != nil {
			return r.leave(true, cancel, signals, err)
		}
		select {
		case k, ok := <-r.term.Keys():
			if !ok || r.act(ctx, r.screen.Key(k, time.Now()), signals) {
				return r.leave(!ok, cancel, signals, nil)
			}
		case n := <-r.news:
			r.screen.Set(n.items, n.bottles, n.faults, time.Now())
		case list := <-r.refused:
			r.screen.Refused(list...)
		case d := <-r.done:
			r.screen.Done(d.ok, d.text)
			r.lookout.again()
		case s := <-signals:
			if r.signal(s) {
				return r.leave(true, cancel, signals, nil)
			}
		case p := <-r.broken:
			r.term.Leave()
			panic(p)
		case <-tick.C:
			r.screen.Tick(time.Now())
		case <-ctx.Done():
			return r.leave(true, cancel, signals, nil)
		}
	}
}

func (r *reviewer) draw() error {
	lines, cursor := r.screen.Lines()
	return r.term.Draw(lines, cursor)
}

// beside runs f at the same time. Its panic is the loop's, which gives the
// terminal back first.
func (r *reviewer) beside(f func()) {
	go func() {
		defer func() {
			if p := recover(); p != nil {
				r.broken <- p
			}
		}()
		f()
	}()
}

// signal handles a signal and reports whether it ends the program.
func (r *reviewer) signal(s os.Signal) bool {
	switch s {
	case unix.SIGWINCH:
		r.screen.Resize(r.term.Size())
	case unix.SIGCONT:
		// Stopped by another than suspend: the shell has shown its own since.
		if time.Since(r.resumed) > time.Second {
			r.term.Leave()
			r.resume(r.term.Resume())
		}
	default:
		return true
	}
	return false
}

// suspend stops the program as ^Z does others, until fg.
func (r *reviewer) suspend() { r.resume(r.term.Suspend()) }

// resume makes the screen whole after something else had the terminal. err is
// why that has not come back.
func (r *reviewer) resume(err error) {
	if err != nil {
		r.screen.Say(err.Error())
	}
	r.resumed = time.Now()
	r.screen.Resize(r.term.Size())
	r.screen.Back(r.resumed)
}

// leave gives the terminal back, then waits for what is under way. With abort,
// and at an interrupt, that is told to end: an apply puts things back first.
func (r *reviewer) leave(abort bool, cancel context.CancelFunc, signals <-chan os.Signal, err error) error {
	r.term.Leave()
	if !r.screen.Busy() {
		return err
	}
	fmt.Fprintln(r.env.Stderr, "superviser review: waiting for what is under way to end")
	if abort {
		cancel()
	}
	for {
		select {
		case s := <-signals:
			if s != unix.SIGWINCH && s != unix.SIGCONT {
				cancel()
			}
		case p := <-r.broken:
			panic(p)
		case d := <-r.done:
			if !d.ok {
				return errors.New(d.text)
			}
			fmt.Fprintln(r.env.Stderr, escape.Text(d.text, 0))
			return err
		}
	}
}
