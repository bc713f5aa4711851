package main

import (
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
)

// printDocker writes the commands that a start gives to the engine, as far as they
// are known before: it asks the engine nothing.
func (p *plan) printDocker(env *cli.Env, line func(string, ...string)) error {
	d := newDock(&running{plan: p, env: env})
	defer d.cancel()
	if err := d.openWorkspaceDry(); err != nil {
		return err
	}
	defer d.space.Close()
	p.printMasks(line, d.space)
	_, hash, err := programs()
	if err != nil {
		return err
	}
	d.image, d.agent.name, d.proxyA, d.inner = partsRepository+":"+hash, p.agentImageName(), sandbox.ProxyAddr, "SUBNET"
	if d.bridged() {
		d.proxyA = "ADDRESS:" + proxyPort
	}
	d.record.Started = time.Now()
	d.askUser()
	vars, err := d.agentVariables()
	if err != nil {
		return err
	}
	say := func(args ...string) { line(d.engine.Name(), args...) }
	if p.manifest.Dockerfile != "" {
		say("build", "--tag", d.agent.name, "--file", p.manifest.Dockerfile)
	}
	for _, args := range d.networkArgs() {
		say(args...)
	}
	for _, what := range d.volumes() {
		say(d.volumeArgs(what)...)
	}
	say(d.createArgs(d.proxyContainer())...)
	if d.bridged() {
		say("network", "connect", d.object(netIn), d.object(roleProxy))
	}
	say("cp", "-", d.object(roleProxy)+":"+string(inside))
	say("start", "--attach", "--interactive", d.object(roleProxy))
	say(d.createArgs(d.superContainer())...)
	say("cp", "-", d.object(roleSuper)+":"+sandbox.RunDir)
	say("start", "--attach", "--interactive", d.object(roleSuper))
	say(d.createArgs(d.agentContainer(vars))...)
	if !d.bind {
		say("cp", "-", d.object(roleAgent)+":"+workRoot)
	}
	say("start", "--attach", "--interactive", d.object(roleAgent))
	return nil
}
