// Demo is what 'make demo' needs besides the toolkit: an origin with TLS, an
// agent, and a second proxy. Run.sh is the story.
package main

import (
	"context"

	"bottle/pkg/cli"
)

const usage = `usage: demo origin DIR | agent | pipelock ARGS

Parts of the demonstration; see run.sh.
`

func main() {
	cli.Main("demo", usage,
		cli.Verb{Name: "origin", Run: origin},
		cli.Verb{Name: "agent", Run: agent},
		cli.Verb{Name: "run", Run: pipelock}, // as pipelock itself is called
		cli.Verb{Name: "secret", Run: secret},
	)
}

// host is where the story's agent wants to go.
const host = "api.demo.test"

// tokenMark begins the story's credential, so that an agent that does not know
// it can look for it. Put together at run time: the program must not find itself.
func tokenMark() string { return string([]byte{'d', 'e', 'm', 'o'}) + "-token-" }

func secret(_ context.Context, env *cli.Env) error {
	id, err := randomHex()
	if err != nil {
		return err
	}
	_, err = env.Stdout.Write([]byte(tokenMark() + id + "\n"))
	return err
}
