package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/audit"
	"bottle/pkg/cli"
	"bottle/pkg/reload"
	"bottle/pkg/route"
)

// change is one installation of a table in a running bottle.
type change struct {
	env    *cli.Env
	b      *live
	mirror string
	dry    bool
	wait   time.Duration
	hold   time.Duration     // 0 is without end
	tokens map[string]string // slot to the operator's variable

	before     []byte // the live file
	now, next  *route.Table
	bytes      []byte // next as it is copied in
	generation uint64
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
func installFlags(fs *flag.FlagSet, c *change) (slug *string) {
	c.tokens = tokenFlag{}
	slug = fs.String("bottle", "", "")
	fs.StringVar(&c.mirror, "mirror", "pipemirror", "")
	fs.BoolVar(&c.dry, "n", false, "")
	fs.DurationVar(&c.wait, "wait", 5*time.Second, "")
	fs.DurationVar(&c.hold, "for", 0, "")
	fs.Var(tokenFlag(c.tokens), "token", "")
	return slug
}

// apply installs a table in a running bottle.
func apply(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	slug := installFlags(fs, c)
	was := fs.String("was", "", "")
	merged := fs.String("proposal", "", "")
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	if c.hold < 0 || c.wait <= 0 {
		return cli.Misused("-for and -wait; wanted a positive duration such as 1h")
	}
	next, err := readTable(env, fs.Arg(0))
	if err != nil {
		return err
	}
	if c.b, err = openBottle(env, *slug); err != nil {
		return err
	}
	release, err := c.b.dir.HoldApply()
	if err != nil {
		return err
	}
	defer release()
	if err := c.readLive(ctx); err != nil {
		return err
	}
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

// readLive takes the table that is served now.
func (c *change) readLive(ctx context.Context) (err error) {
	if c.before, err = c.b.table(ctx); err != nil {
		return fmt.Errorf("the live table cannot be read: %w; nothing was changed", err)
	}
	c.now, err = route.Parse(c.b.dir.Routes(), c.before)
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
	if was.Digest() == c.now.Digest() {
		return nil
	}
	for _, d := range route.Diff(was, c.now) {
		note(c.env, "changed meanwhile: %s", d.Text)
	}
	return cli.Refusedf("the live table of %s is no longer %s; nothing was changed\nhint: 'routesctl show -bottle %s' it anew and decide again", c.b.dir.Name(), file, c.b.dir.Name())
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
	return c.record()
}

// prepare completes the table and checks that it can work: its end, and a value
// for each of its credentials.
func (c *change) prepare(ctx context.Context, next *route.Table) error {
	if c.hold > 0 {
		limited, err := withEnd(c.now, next, time.Now().Add(c.hold))
		if err != nil {
			return refuse(c.env, err)
		}
		next = limited
	}
	c.next, c.bytes = next, next.Encode()
	known := map[string]bool{}
	for _, r := range c.now.Routes {
		known[r.TokenEnv] = true
	}
	for _, r := range next.Routes {
		if err := c.checkSlot(ctx, r, known[r.TokenEnv]); err != nil {
			return err
		}
	}
	return nil
}

// checkSlot refuses a route whose credential would be missing, or be another's.
func (c *change) checkSlot(ctx context.Context, r route.Route, known bool) error {
	slot := r.TokenEnv
	ref, delivered := c.tokens[slot]
	switch {
	case slot == "":
		return nil
	case delivered && c.b.atStart(slot):
		return cli.Refusedf("%s: the slot %s already has a credential, which the proxy was started with; nothing was changed\nhint: give the route a slot of a higher number", r.Host, slot)
	case delivered && c.env.Getenv(ref) == "":
		return cli.Refusedf("%s: the variable %s is not set; nothing was changed\nhint: export %s, then repeat this", r.Host, ref, ref)
	case !delivered && !known && !c.b.given(ctx, slot):
		return cli.Refusedf("%s: the bottle has no credential in the slot %s; nothing was changed\nhint: add -token %s=VARIABLE, VARIABLE being the one of your environment that holds it", r.Host, slot, slot)
	}
	return nil
}

// withEnd gives an end to the routes of next that now does not have as they are.
func withEnd(now, next *route.Table, end time.Time) (*route.Table, error) {
	changed := map[string]bool{}
	for _, d := range route.Diff(now, next) {
		changed[d.Host] = true
	}
	routes := append([]route.Route(nil), next.Routes...)
	for i := range routes {
		if changed[routes[i].Host] {
			routes[i].Expires = end.UTC().Truncate(time.Second)
		}
	}
	return route.New(routes)
}

// plan prints what would be done.
func (c *change) plan() error {
	for _, d := range route.Diff(c.now, c.next) {
		fmt.Fprintf(c.env.Stdout, "change\t%s\n", d.Text)
	}
	if c.mirror != "none" {
		fmt.Fprintf(c.env.Stdout, "run\t%s apply -bottle %s\n", c.mirror, c.b.dir.Name())
	}
	for slot, ref := range c.tokens {
		fmt.Fprintf(c.env.Stdout, "deliver\t%s from %s\n", slot, ref)
	}
	fmt.Fprintf(c.env.Stdout, "copy\t%s\nsignal\tHUP\nwait\t%s\n", c.b.dir.Next(), c.b.dir.Status())
	return nil
}

// alreadyServed tells whether the proxy confirms that it serves next already.
func (c *change) alreadyServed(ctx context.Context) (bool, error) {
	s, err := c.b.status(ctx)
	if err != nil {
		return false, fmt.Errorf("the proxy's answer cannot be read: %w; nothing was changed", err)
	}
	c.generation = s.Generation
	// With an error or a credential to deliver the proxy is asked again.
	same := s.Digest == c.next.Digest() && s.Error == "" && c.now.Digest() == s.Digest
	return same && len(c.tokens) == 0, nil
}

// deliverTokens puts the credentials beside the table, before it.
func (c *change) deliverTokens(ctx context.Context) error {
	for slot, ref := range c.tokens {
		err := c.b.copyIn(ctx, filepath.Join(tokenDir, slot), []byte(c.env.Getenv(ref)), 0o400)
		if err != nil {
			return fmt.Errorf("the credential for %s cannot be delivered: %w; %s, routes unchanged", slot, err, c.mirrorState())
		}
	}
	return nil
}

// ask copies the table in, signals, and waits until the proxy has answered that
// it serves it.
func (c *change) ask(ctx context.Context) error {
	s, err := c.offer(ctx, c.bytes)
	if err == nil && s.Error == "" && s.Digest == c.next.Digest() {
		return nil
	}
	if err == nil {
		// The proxy has refused it and put it aside; the old table serves on.
		return fmt.Errorf("the proxy refused the table: %s; %s, routes unchanged", s.Error, c.mirrorState())
	}
	return c.putBack(err)
}

// offer copies one table in, asks the proxy to take it up, and returns its
// answer about those very bytes.
func (c *change) offer(ctx context.Context, data []byte) (reload.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	// 0644: the proxy may be another user, as in a container.
	if err := c.b.copyIn(ctx, nextFile, data, 0o644); err != nil {
		return reload.Status{}, err
	}
	if err := c.b.signal(ctx, syscall.SIGHUP); err != nil {
		return reload.Status{}, err
	}
	sum := sha256.Sum256(data)
	tried := hex.EncodeToString(sum[:])
	answers := func(s reload.Status) bool { return s.Generation > c.generation && s.Tried == tried }
	s, err := reload.Await(ctx, answers, func() (reload.Status, error) { return c.b.status(ctx) })
	if err == nil {
		c.generation = s.Generation
	}
	return s, err
}

// putBack restores the table of before after an offer without an answer. It has
// its own time: the caller's may be over, by an interrupt for one.
func (c *change) putBack(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.wait)
	defer cancel()
	if err := c.b.remove(ctx, nextFile); err != nil {
		return fmt.Errorf("%w, and %s cannot be removed: %v; %s, routes unknown\nhint: 'bottlerun stop %s' and start it again", cause, nextFile, err, c.mirrorState(), c.b.dir.Name())
	}
	if s, err := c.offer(ctx, c.before); err == nil && s.Error == "" {
		return fmt.Errorf("%w; the previous table was put back and the proxy confirmed it; %s, routes unchanged", cause, c.mirrorState())
	}
	c.b.remove(ctx, nextFile)
	if err := c.b.copyIn(ctx, routesFile, c.before, 0o644); err != nil {
		return fmt.Errorf("%w; the previous table cannot be put back: %v; %s, routes unknown", cause, err, c.mirrorState())
	}
	return fmt.Errorf("%w; the previous table is in the file again, but the proxy does not confirm it; %s, routes unknown\nhint: 'bottlerun ls' tells whether the bottle still runs", cause, c.mirrorState())
}

// record writes the change into the audit log.
func (c *change) record() error {
	err := audit.Append(c.b.dir.Audit(), audit.Entry{
		Operator: operator(c.env), Bottle: c.b.dir.Name(), Component: "egress-proxy",
		Decision: "applied", Before: string(c.before), After: string(c.bytes),
	})
	if err != nil {
		return fmt.Errorf("the table is installed and confirmed, but the audit log cannot be written: %w", err)
	}
	return nil
}
