package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"bottle/pkg/cli"
	"bottle/pkg/docker"
	"bottle/pkg/proposal"
)

// queue is what the operator's verbs do with the proposals of a bottle: a folder
// here (proposal.Queue), or one in a container (proposal.Remote).
type queue interface {
	Get(id string) (proposal.Record, error)
	Pending() (records []proposal.Record, bad []error, err error)
	Decided() (records []proposal.Record, bad []error, err error)
	Decide(ctx context.Context, id string, d proposal.Decision) (proposal.Record, error)
	Close()
}

// Where things are in the superviser's container of a docker bottle.
const (
	inProgram    = "/bin/superviser"
	inQueue      = "/bottle/queue"
	inDockerfile = "/bottle/Dockerfile"
)

// open opens the queue. That of a local bottle is made when it is missing.
func (p *place) open(ctx context.Context) (queue, error) {
	if p.docker != nil {
		return p.remote(ctx)
	}
	return p.folder()
}

// folder is the queue of a local bottle.
func (p *place) folder() (*proposal.Queue, error) {
	if p.bottle != "" {
		if err := os.MkdirAll(p.queue, 0o700); err != nil {
			return nil, err
		}
	}
	return proposal.Open(p.queue, proposal.Limits{})
}

// remote is the queue in the superviser's container.
func (p *place) remote(ctx context.Context) (queue, error) {
	part, err := p.docker.Part("superviser")
	if err != nil {
		return nil, err
	}
	return &proposal.Remote{Ask: func(question []byte) ([]byte, error) {
		out, err := p.docker.Engine.Exec(ctx, part, bytes.NewReader(question), inProgram, "_queue", "-queue", inQueue)
		if errors.Is(err, docker.ErrNotRunning) || errors.Is(err, docker.ErrNoContainer) {
			return nil, fmt.Errorf("%w\nhint: 'bottlerun ls' says what runs", err)
		}
		return out, err
	}}, nil
}

// answerQueue answers one question of an operator elsewhere about the queue: the
// inner verb _queue.
func answerQueue(ctx context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	fs.StringVar(&at.queue, "queue", "", "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if at.queue == "" {
		return cli.Misused("wanted -queue DIR")
	}
	q, err := proposal.Open(at.queue, proposal.Limits{})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Answer(ctx, env.Stdin, env.Stdout)
}
