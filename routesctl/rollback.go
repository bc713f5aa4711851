package main

import (
	"context"
	"fmt"
	"strconv"

	"bottle/pkg/cli"
	"bottle/pkg/route"
)

// rollback puts an earlier table of a running bottle back, in the way of every
// other change.
func rollback(ctx context.Context, env *cli.Env) error {
	c := &change{env: env}
	fs := env.Flags()
	installFlags(fs, c)
	if err := env.Parse(fs, 0, 1); err != nil {
		return err
	}
	var wanted uint64
	if fs.NArg() == 1 {
		n, err := strconv.ParseUint(fs.Arg(0), 10, 64)
		if err != nil || n == 0 {
			return cli.Misused("generation %q; wanted a number that 'routesctl history' prints", fs.Arg(0))
		}
		wanted = n
	}
	release, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer release()
	p, err := c.earlier(wanted)
	if err != nil {
		return err
	}
	t, err := route.Parse(fmt.Sprintf("generation %d", p.Generation), []byte(p.Table))
	if err != nil {
		return refuse(env, err)
	}
	if err := c.ownCredentials(t); err != nil {
		return err
	}
	c.reason = fmt.Sprintf("rollback to generation %d", p.Generation)
	return c.install(ctx, t)
}

// earlier is the table of that generation of this run, or for 0 the one before
// the last change: of which the live table must be the outcome.
func (c *change) earlier(generation uint64) (past, error) {
	list, err := pastOf(c.b.dir)
	if err != nil {
		return past{}, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		switch p := list[i]; {
		case p.Run != c.b.run():
			continue
		case generation != 0 && p.Generation == generation:
			return p, nil
		case generation != 0:
			continue
		}
		last, err := route.Parse("the last change", []byte(list[i].Table))
		if err != nil || last.Digest() != c.now.Digest() {
			return past{}, cli.Refusedf("the live table of %s is not what the last change on record here has left; nothing was changed\nhint: 'routesctl history %s' lists what can be put back by its generation", c.b.dir.Name(), c.of)
		}
		return list[i-1], nil // every run begins with a table that was found
	}
	if generation == 0 {
		return past{}, cli.Refusedf("no change of this run of %s is on record in %s; nothing was changed", c.b.dir.Name(), c.b.dir.Audit())
	}
	return past{}, cli.Refusedf("this run of %s has no generation %d on record in %s; nothing was changed\nhint: 'routesctl history %s' lists them", c.b.dir.Name(), generation, c.b.dir.Audit(), c.of)
}

// ownCredentials refuses a route whose slot may hold another's credential by now:
// slots are given again once their route is gone.
func (c *change) ownCredentials(t *route.Table) error {
	for _, r := range t.Routes {
		if r.TokenEnv == "" || c.tokens[r.TokenEnv] != "" || c.b.atStart(r.TokenEnv) {
			continue
		}
		if now := exact(c.now, r.Host); now == nil || now.TokenEnv != r.TokenEnv {
			return cli.Refusedf("%s: its credential is no longer in the slot %s; nothing was changed\nhint: add -token %s=VARIABLE, VARIABLE being the one of your environment that holds it", r.Host, r.TokenEnv, r.TokenEnv)
		}
	}
	return nil
}
