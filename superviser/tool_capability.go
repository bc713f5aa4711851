package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"bottle/pkg/capability"
	"bottle/pkg/mcp"
	"bottle/pkg/proposal"
)

const capabilityDescription = `Propose another image for this bottle: the whole new Dockerfile. Use it for tools that are missing (a compiler, a package) and cannot be installed inside the running bottle.

How: read /etc/bottle/current-config/Dockerfile, change as little of it as you need, and pass ALL of the new text. It is built without any file beside it: COPY and ADD of local files are refused, COPY --from=IMAGE and RUN are not.

An approval builds the image; it is there after the bottle is started again, not in this session. So go on with other work. Answers: "approved", "rejected" with the operator's reason, or "pending" with an id for proposal-status. For a host that is refused call egress-proxy-block instead.`

const capabilitySchema = `{"type":"object","additionalProperties":false,"required":["dockerfile","justification"],"properties":{` +
	`"dockerfile":{"type":"string","minLength":1,"maxLength":65536,"description":"All of the new Dockerfile, not a diff."},` +
	`"justification":{"type":"string","minLength":1,"maxLength":4000,"description":"For the operator: what the task is, what is missing, why the image is the place for it."}}}`

// capabilityTool proposes the image of the next start.
func (a *agent) capabilityTool() mcp.Tool {
	return mcp.Tool{
		Name: "capability-block", Title: "Propose another image for the bottle",
		Description: capabilityDescription, InputSchema: json.RawMessage(capabilitySchema),
		Annotations: mcp.Annotations{Idempotent: true},
		Call:        a.capability,
	}
}

func (a *agent) capability(ctx context.Context, c mcp.Call) (mcp.Result, error) {
	m, why, err := readJustified(c.Arguments)
	var text string
	if err == nil && (len(m) != 1 || json.Unmarshal(m["dockerfile"], &text) != nil) {
		err = errors.New("wanted the arguments dockerfile, a text, and justification")
	}
	if err == nil {
		err = capability.Check(text)
	}
	if err != nil {
		return refused(err.Error(), "correct the arguments and call again"), nil
	}
	if a.dockerfile == "" {
		return refused("this bottle's image is not built from a Dockerfile (it shares the host's programs, or its manifest names a finished image)",
			"do with what is there, or tell the operator by other means what is missing"), nil
	}
	now, err := readDockerfile(a.dockerfile)
	if err != nil {
		return mcp.Result{}, err
	}
	if now == text {
		return mcp.Result{Text: "already so: this is the Dockerfile that the bottle was started from; nothing was filed\nnext: look for what is missing elsewhere"}, nil
	}
	req := proposal.Request{Component: proposal.Capability, Proposal: proposal.OfDockerfile(text), Justification: why, Client: c.Client}
	if fi, err := os.Stat(a.dockerfile); err == nil && fi.ModTime().Before(time.Now()) {
		req.Lapsed = fi.ModTime() // what was approved before this start and is not what it was started from
	}
	return a.file(ctx, c, req, "the image")
}

// readDockerfile reads the Dockerfile that the bottle was started from.
func readDockerfile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCurrent+1))
	if err == nil && len(data) > maxCurrent {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxCurrent)
	}
	return string(data), err
}

// maxCurrent bounds the operator's own Dockerfile.
const maxCurrent = 1 << 20
