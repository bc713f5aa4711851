package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
)

// findInner finds the addresses of the network that agent and proxy share.
func (d *dock) findInner() error {
	out, err := d.engine.Output(d.ctx, nil, "network", "inspect", "--format", "{{json .IPAM.Config}}", d.object(netIn))
	if err != nil {
		return err
	}
	var subnets []struct{ Subnet string }
	if err := json.Unmarshal(out, &subnets); err != nil || len(subnets) == 0 {
		return fmt.Errorf("network %s: %s (%v); wanted its subnet", d.object(netIn), out, err)
	}
	d.inner = subnets[0].Subnet
	return nil
}

// findProxy finds the proxy's address there, which it has once it runs.
func (d *dock) findProxy() error {
	return d.unlessDead(func() error {
		ctx, cancel := context.WithTimeout(d.ctx, healthTimeout)
		defer cancel()
		return poll(ctx, func() error {
			a, err := d.address(roleProxy, netIn)
			d.proxyA = net.JoinHostPort(a, proxyPort)
			return err
		})
	})
}

var errNoAddress = errors.New("it has no address yet")

// address is that of a container in one of the bottle's networks.
func (d *dock) address(role, network string) (string, error) {
	address, _, err := d.addresses(role, network)
	return address, err
}

// addresses are the container's and the gateway's.
func (d *dock) addresses(role, network string) (address, gateway string, err error) {
	out, err := d.engine.Output(d.ctx, nil, "inspect", "--type", "container", "--format", "{{json .NetworkSettings.Networks}}", d.object(role))
	if err != nil {
		return "", "", err
	}
	var networks map[string]struct{ IPAddress, Gateway string }
	if err := json.Unmarshal(out, &networks); err != nil {
		return "", "", fmt.Errorf("%s: %w", d.object(role), err)
	}
	n := networks[d.object(network)]
	if n.IPAddress == "" {
		return "", "", fmt.Errorf("container %s, network %s: %w", d.object(role), d.object(network), errNoAddress)
	}
	return n.IPAddress, n.Gateway, nil
}
