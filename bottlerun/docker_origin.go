package main

import (
	"os"

	"bottle/pkg/sandbox"
)

// roleOrigin is the canary's container, in doctor's bottle alone.
const roleOrigin = "origin"

// startCanary starts the canary on the network that egress-proxy has its way out
// in, where it takes the place of pipelock.
func (d *dock) startCanary() error {
	p := sandbox.Part{Command: []string{partProgram, "_origin", ":" + pipelockPort}}
	c := d.part(roleOrigin, "256m", p, append([]string{"--network", d.object(netOut)}, noForward...))
	if err := d.create(c); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	if d.lockPart, _, err = d.startPart(roleOrigin, w); err != nil {
		return err
	}
	if err := d.unlessDead(func() (err error) { d.lockCA, err = d.probe.hear(r); return err }); err != nil {
		return err
	}
	if d.upstream, err = d.address(roleOrigin, netOut); err != nil {
		return err
	}
	return d.trust()
}
