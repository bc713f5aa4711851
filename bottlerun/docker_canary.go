package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	"bottle/pkg/sandbox"
)

// canaries are what the self-test must not reach: every address of this host, and
// of the engine's where that is another machine; egress-proxy's container on its
// way out; node metadata.
func (d *dock) canaries() (reach []string, done func(), err error) {
	reach, done, err = sandbox.OpenCanaries()
	if err != nil {
		return nil, done, err
	}
	out, gateway, err := d.addresses(roleProxy, netOut)
	if err != nil {
		return nil, done, err
	}
	reach = append(reach, net.JoinHostPort(out, canaryPort), net.JoinHostPort("169.254.169.254", "80"))
	if isOurs(gateway) {
		return reach, done, nil
	}
	far, end, err := d.farCanaries()
	here := done
	return append(reach, far...), func() { here(); end() }, err
}

// isOurs reports whether an address is one of this network's. That of a bridge is
// its engine's machine's.
func isOurs(address string) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range own {
		if ipn, ok := a.(*net.IPNet); ok && ipn.IP.String() == address {
			return true
		}
	}
	return false
}

// roleCanary is a container that is there during the self-test.
const roleCanary = "canary"

// farCanaries listens on every address of the engine's machine, from a container
// that has its network.
func (d *dock) farCanaries() (reach []string, done func(), err error) {
	args := append([]string{"run", "--rm", "--name", d.object(roleCanary)}, hardening...)
	args = append(args, labelArgs(d.labels, map[string]string{labelRole: roleCanary})...)
	args = append(args, partHardening...)
	args = append(args, "--user", partUserText, "--network", "host", "--entrypoint", partProgram, d.image)
	cmd := d.engine.Command(context.Background(), append(args, sandbox.CanaryArgs()...)...)
	cmd.SysProcAttr = tied(false)
	done = func() {}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, done, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, done, err
	}
	ended, err := sandbox.StartTied(cmd)
	if err != nil {
		return nil, done, err
	}
	done = func() { in.Close(); <-ended }
	err = d.unlessDead(func() error { return json.NewDecoder(out).Decode(&reach) })
	if err != nil || len(reach) == 0 {
		return nil, done, fmt.Errorf("self-test: no address of %v could be listened on: %v", d.engine, err)
	}
	return reach, done, nil
}
