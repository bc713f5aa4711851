package main

import (
	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// refuseWorkspace refuses what run would refuse.
func refuseWorkspace(p *plan) error {
	pol := p.policy
	pol.Dry, pol.Keep = true, nil
	work, err := sandbox.OpenWorkspace(p.work, pol)
	if err != nil {
		return cli.Refused(err)
	}
	work.Close()
	return nil
}
