package main

import (
	"fmt"

	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/sandbox"
)

// What is masked or read-only for the agent is so by a mount, which the kernel takes
// away when a program of the host's removes what it lies on, or renames another file
// over it. A sandbox covers it again (Sandbox.Replaced); in a container nobody can, so
// the bottle ends.

// watchWork hears of such losses in a workspace that is bound into a container.
func watchWork(j jail) (losses <-chan sandbox.Loss, stop func()) {
	if d, ok := j.(*dock); ok && d.bind {
		return d.space.Watch()
	}
	return nil, func() {}
}

// noteLoss tells of what the agent could have made itself, had it not been there.
func noteLoss(env *cli.Env, l sandbox.Loss) {
	note(env, "%s was replaced or removed outside of the bottle: the agent can change what is there now\nhint: look at it before you start programs in this folder that obey it", escape.Text(l.Path, 0))
}

func lossError(l sandbox.Loss) error {
	return fmt.Errorf("%s was replaced or removed outside of the bottle, and what is there now would be open to the agent; the bottle was taken down\nhint: look at it; change it while no bottle runs here, or write into the file that is there", escape.Text(l.Path, 0))
}
