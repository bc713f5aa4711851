// Superviser stands between agent and operator: the agent proposes through MCP
// tools, the operator decides. See README.md.
package main

import (
	_ "embed"

	"bottle/pkg/cli"
)

//go:embed usage.txt
var usage string

func main() {
	cli.Main("superviser", usage,
		cli.Verb{Name: "serve", Run: serve},
		cli.Verb{Name: "connect", Run: connect},
		cli.Verb{Name: "list", Run: list},
		cli.Verb{Name: "show", Run: show},
		cli.Verb{Name: "approve", Run: approve},
		cli.Verb{Name: "reject", Run: reject},
		cli.Verb{Name: "decide", Run: decide},
		cli.Verb{Name: "review", Run: reviewVerb},
		cli.Verb{Name: "watch", Run: watch},
		cli.Verb{Name: "audit", Run: auditVerb},
		cli.Verb{Name: "_queue", Run: answerQueue},
	)
}
