package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// change is one installation of a table in a running bottle.
type change struct {
	env    *cli.Env
	of     *target
	b      *live
	mirror string
	dry    bool
	wait   time.Duration
	hold   time.Duration     // 0 is without end
	uses   int               // 0 is without limit
	renew  string            // the host whose route begins again if it has ended
	tokens map[string]string // slot to the operator's variable

	before     []byte // the live file
	now, next  *route.Table
	bytes      []byte // next as it is copied in
	generation uint64 // the proxy's, of its last answer
	was        uint64 // the one of before
	held       *holding
	reason     string // for the audit log, where it is not plain
}

// tokenFlag is -token SLOT=VARIABLE, repeatable.
type tokenFlag map[string]string

func (t tokenFlag) String() string { return "" }

func (t tokenFlag) Set(s string) error {
	slot, ref, ok := strings.Cut(s, "=")
	if !ok || slot == "" || ref == "" || strings.ContainsAny(slot, "/.") {
		return errors.New("wanted SLOT=VARIABLE, VARIABLE being one of your environment")
	}
	t[slot] = ref
	return nil
}

// installFlags are those that apply and add share.
func installFlags(fs *flag.FlagSet, c *change) {
	c.tokens = tokenFlag{}
	c.of = targetFlags(fs)
	fs.StringVar(&c.mirror, "mirror", defaultMirror, "")
	fs.BoolVar(&c.dry, "n", false, "")
	fs.DurationVar(&c.wait, "wait", 5*time.Second, "")
	fs.DurationVar(&c.hold, "for", 0, "")
	fs.IntVar(&c.uses, "uses", 0, "")
	fs.Var(tokenFlag(c.tokens), "token", "")
}

// apply installs a table in a running bottle.
func apply(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	installFlags(fs, c)
	was := fs.String("was", "", "")
	merged := fs.String("proposal", "", "")
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	next, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	release, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer release()
	if *was != "" {
		if err := c.unchangedSince(*was); err != nil {
			return err
		}
	}
	if *merged != "" {
		if err := c.tokenOf(*merged, next); err != nil {
			return err
		}
	}
	return c.install(ctx, next)
}

// tokenOf delivers the credential that the proposal in the file asks for, where
// next has a new route for its host.
func (c *change) tokenOf(file string, next *route.Table) error {
	data, name, err := c.env.ReadInput(file, route.MaxBytes)
	if err != nil {
		return err
	}
	p, err := route.ParseProposal(name, data)
	if err != nil {
		return refuse(c.env, err)
	}
	if p.Auth == nil || exact(c.now, p.Host) != nil {
		return nil
	}
	if r := exact(next, p.Host); r != nil && r.TokenEnv != "" && c.tokens[r.TokenEnv] == "" {
		c.tokens[r.TokenEnv] = p.Auth.TokenRef
	}
	return nil
}

// exact is the route of t that is spelled host.
func exact(t *route.Table, host string) *route.Route {
	for i := range t.Routes {
		if t.Routes[i].Host == host {
			return &t.Routes[i]
		}
	}
	return nil
}

// begin finds the bottle, takes its locks and reads its live table.
func (c *change) begin(ctx context.Context) (release func(), err error) {
	if c.hold < 0 || c.wait <= 0 || c.uses < 0 {
		return nil, cli.Misused("-for, -wait and -uses; wanted a positive duration such as 1h, and a positive number")
	}
	if c.b, err = c.of.open(ctx, c.env); err != nil {
		return nil, err
	}
	here, err := c.b.dir.HoldApply(ctx)
	if err != nil {
		return nil, err
	}
	if c.held, err = c.b.hold(ctx); err != nil {
		here()
		return nil, err
	}
	release = func() { c.held.release(); here() }
	if err := c.readLive(ctx); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// readLive takes the table that is served now.
func (c *change) readLive(ctx context.Context) (err error) {
	if c.before, err = c.b.table(ctx); err != nil {
		return fmt.Errorf("the live table cannot be read: %w; nothing was changed", err)
	}
	c.now, err = route.Parse(c.b.place(routesFile), c.before)
	if err != nil {
		note(c.env, "the live table is not valid; nothing was changed")
		return refuse(c.env, err)
	}
	return nil
}

// unchangedSince refuses when the live table is no longer the one of the file.
func (c *change) unchangedSince(file string) error {
	was, err := readTable(c.env, file)
	if err != nil {
		return err
	}
	return c.unchanged(was, file)
}

// unchanged refuses when the live table is no longer was.
func (c *change) unchanged(was *route.Table, name string) error {
	if was.Digest() == c.now.Digest() {
		return nil
	}
	for _, d := range route.Diff(was, c.now) {
		note(c.env, "changed meanwhile: %s", d.Text)
	}
	return cli.Refusedf("the live table of %s is no longer %s; nothing was changed\nhint: 'routesctl show %s' it anew and decide again", c.b.dir.Name(), name, c.of)
}

// install is the order of a change: check, mirror, credentials, copy in, ask,
// wait for the answer, record. The caller holds the apply lock.
func (c *change) install(ctx context.Context, next *route.Table) error {
	if err := c.prepare(ctx, next); err != nil {
		return err
	}
	if c.dry {
		return c.plan()
	}
	if done, err := c.alreadyServed(ctx); done || err != nil {
		return err
	}
	if err := c.mirrorHosts(ctx); err != nil {
		return err
	}
	if err := c.deliverTokens(ctx); err != nil {
		return err
	}
	if err := c.ask(ctx); err != nil {
		return err
	}
	c.dropTokens(ctx)
	return c.record()
}

// plan prints what would be done.
func (c *change) plan() error {
	for _, d := range route.Diff(c.now, c.next) {
		fmt.Fprintf(c.env.Stdout, "change\t%s\n", d.Text)
	}
	if c.mirrors() {
		fmt.Fprintf(c.env.Stdout, "run\t%s apply %s\n", c.mirror, c.of)
	}
	for slot, ref := range c.tokens {
		fmt.Fprintf(c.env.Stdout, "deliver\t%s from %s\n", slot, ref)
	}
	fmt.Fprintf(c.env.Stdout, "copy\t%s\nsignal\tHUP\nwait\t%s\n", c.b.place(nextFile), c.b.place(statusFile))
	return nil
}

// alreadyServed tells whether the proxy confirms that it serves next already.
func (c *change) alreadyServed(ctx context.Context) (bool, error) {
	s, err := c.b.status(ctx)
	if err != nil {
		return false, fmt.Errorf("the proxy's answer cannot be read: %w; nothing was changed", err)
	}
	c.generation, c.was = s.Generation, s.Generation
	// With an error or a credential to deliver the proxy is asked again.
	same := s.Digest == c.next.Digest() && s.Error == "" && c.now.Digest() == s.Digest
	return same && len(c.tokens) == 0, nil
}

// record writes the change into the audit log.
func (c *change) record() error {
	err := audit.Append(c.b.dir.Audit(), audit.Entry{
		Operator: operator(c.env), Bottle: c.b.dir.Name(), Component: "egress-proxy",
		Decision: "applied", Reason: c.reason, Before: string(c.before), After: string(c.bytes),
		Run: c.b.run(), Was: c.was, Generation: c.generation,
	})
	if err != nil {
		return fmt.Errorf("the table is installed and confirmed, but the audit log cannot be written: %w", err)
	}
	return nil
}
