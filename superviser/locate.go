package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
)

// locate parses the flags of a verb with one ID and finds the place that it is
// in: the one named, else the only running bottle that has a proposal of that ID.
func (p *place) locate(ctx context.Context, env *cli.Env, fs *flag.FlagSet) (id string, err error) {
	if id, err = parseID(env, fs); err != nil {
		return "", err
	}
	if p.bottle != "" || p.queue != "" {
		return id, p.find(ctx, env)
	}
	if p.context != "" {
		return "", cli.Misused("wanted -bottle NAME with -context")
	}
	places, faults, err := (&desk{env: env}).places(ctx)
	if err != nil {
		return "", err
	}
	var found []*place
	for _, at := range places {
		has, err := at.has(ctx, id)
		if err != nil {
			faults = append(faults, err)
		}
		if has {
			found = append(found, at)
		}
	}
	if len(found) == 1 {
		audit := p.audit
		*p = *found[0]
		p.audit = or(audit, p.audit)
		return id, nil
	}
	return "", notLocated(id, found, faults)
}

func (p *place) has(ctx context.Context, id string) (bool, error) {
	q, err := p.open(ctx)
	if err != nil {
		return false, err
	}
	defer q.Close()
	_, err = q.Get(id)
	if errors.Is(err, proposal.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// notLocated says why an ID names no place.
func notLocated(id string, found []*place, faults []error) error {
	if len(found) > 1 {
		var names []string
		for _, at := range found {
			names = append(names, at.bottle)
		}
		return cli.Refusedf("%s: the bottles %s have a proposal of that ID\nhint: name one with -bottle", id, strings.Join(names, ", "))
	}
	text := "no running bottle has a proposal " + id
	for _, err := range faults {
		text += "\nnot looked at: " + escape.Text(err.Error(), 300)
	}
	return cli.Refusedf("%s\nhint: 'superviser list' shows what waits; -bottle NAME looks into one that does not run", text)
}
