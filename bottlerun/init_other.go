//go:build !linux

package main

// refuseWorkspace has nothing to refuse: the sandbox that would is not there.
func refuseWorkspace(*plan) error { return nil }
