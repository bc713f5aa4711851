// Bottlerun starts and stops a bottle: a sandbox for a coding agent whose only
// way out is egress-proxy. See README.md.
package main

import (
	_ "embed"

	"bottle/pkg/cli"
	"bottle/pkg/sandbox"
	"bottle/pkg/steward"
)

//go:embed usage.txt
var usage string

func main() {
	sandbox.Stages()
	cli.Main("bottlerun", usage,
		cli.Verb{Name: "init", Run: initVerb},
		cli.Verb{Name: "run", Run: run},
		cli.Verb{Name: "start", Run: startVerb},
		cli.Verb{Name: "ls", Run: ls},
		cli.Verb{Name: "stop", Run: stop},
		cli.Verb{Name: "exec", Run: execVerb},
		cli.Verb{Name: "logs", Run: logs},
		cli.Verb{Name: "report", Run: reportVerb},
		cli.Verb{Name: "gc", Run: gc},
		cli.Verb{Name: "images", Run: images},
		cli.Verb{Name: "doctor", Run: doctor},
		cli.Verb{Name: steward.Verb, Run: stewardVerb},
		cli.Verb{Name: "_clients", Run: clientsVerb},
		cli.Verb{Name: "_origin", Run: originVerb},
	)
}
