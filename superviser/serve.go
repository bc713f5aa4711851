package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"bottle/pkg/cli"
	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
)

const instructions = `You are in a bottle: your only way out is egress-proxy, which lets through what the bottle's routes allow.
When a request is refused with status 403 and a body that begins "egress-proxy:" (or a header X-Egress-Proxy-Reason), call egress-proxy-block with the host you need, the paths if you know them, and a justification; the operator decides, and once the tool answers "approved" the same request works at once.
A 403 without that text comes from the site itself: do not propose it.
When a tool or package is missing that only another image can bring, call capability-block. pipelock-block is for the rare 502 in which pipelock refuses a host that the routes allow.
list-egress-proxy-routes shows what is allowed now. proposal-status tells what became of a proposal that was answered "pending".`

// agent is what the tools of one serve share.
type agent struct {
	bottle string
	queue  *proposal.Queue
	live   source
	wait   time.Duration // how long a call waits for the operator; < 0: by client
	log    *slog.Logger
	// dockerfile is the Dockerfile that the bottle was started from, "" for none.
	dockerfile string
}

// tools are the tools, in the order of tools/list. A new one is a file
// tool_NAME.go and a line here.
func (a *agent) tools() []mcp.Tool {
	return []mcp.Tool{a.blockTool(), a.pipelockTool(), a.capabilityTool(), a.routesTool(), a.statusTool()}
}

func (a *agent) server() *mcp.Server {
	return &mcp.Server{
		Name: "superviser", Title: "Bottle superviser", Version: cli.Version(),
		Instructions: instructions, Tools: a.tools(), Task: a.task, Log: a.log,
	}
}

// serve is the agent's side: one conversation on stdin and stdout, or one per
// connection of -listen.
func serve(ctx context.Context, env *cli.Env) error {
	var at place
	fs := env.Flags()
	at.addFlags(fs)
	proxy := fs.String("proxy", env.Getenv("EGRESS_PROXY_FORWARD_PROXY"), "")
	wait := fs.Duration("wait", -1, "")
	dockerfile := fs.String("dockerfile", "", "")
	listen := fs.String("listen", "", "")
	if err := env.Parse(fs, 0, 0); err != nil {
		return err
	}
	if err := at.findFiles(env); err != nil {
		return err
	}
	if at.bottle != "" && !at.local() {
		return cli.Misused("-bottle %s: its superviser runs in a container; wanted a local bottle, or -queue DIR", at.bottle)
	}
	live, err := newSource(*proxy, at.dir)
	if err != nil {
		return err
	}
	q, err := at.folder()
	if err != nil {
		return err
	}
	defer q.Close()
	a := &agent{at.bottle, q, live, *wait, newLog(env.Stderr), *dockerfile}
	if *listen != "" {
		return a.listen(ctx, *listen)
	}
	// With SIGPIPE caught, a reader that is gone is an error of write(2), and an
	// orderly end.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return converse(ctx, a.server(), env.Stdin, env.Stdout)
}

// converse holds one conversation; that the client is gone is its normal end.
func converse(ctx context.Context, s *mcp.Server, r io.Reader, w io.Writer) error {
	err := s.Serve(ctx, r, w)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}
