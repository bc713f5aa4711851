package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"bottle/pkg/capability"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
	"bottle/pkg/textdiff"
)

func capabilitySubject(proposal.Record) string { return "the image" }

// capabilityLook compares the proposed Dockerfile with the one that the bottle was
// started from: superviser's copy, which no agent can write to.
func capabilityLook(ctx context.Context, _ *cli.Env, at *place, r proposal.Record) (view, error) {
	text, err := r.Dockerfile()
	if err != nil {
		return view{}, cli.Refused(err)
	}
	now, err := at.currentDockerfile(ctx)
	if err != nil {
		return view{}, err
	}
	d, err := digestWith(r, now)
	if err != nil {
		return view{}, err
	}
	v := view{Record: r, Digest: d, basis: now}
	for _, line := range textdiff.Lines(now, text, 2) {
		v.Changes = append(v.Changes, route.Change{Kind: "dockerfile", Text: line, Widens: strings.HasPrefix(line, "+")})
	}
	v.weigh(capability.Risks(now, text))
	return v, nil
}

// currentDockerfile is what the bottle was started from.
func (p *place) currentDockerfile(ctx context.Context) (string, error) {
	if p.docker == nil {
		return "", cli.Refusedf("bottle %s runs on the local backend, which has no image to build: it sees the host's own programs\nhint: install what is missing on the host, or run the bottle with -backend docker; then reject this one and say so", p.bottle)
	}
	part, err := p.docker.Part("superviser")
	if err != nil {
		return "", err
	}
	data, err := p.docker.Engine.File(ctx, part, inDockerfile, maxCurrent)
	if errors.Is(err, fs.ErrNotExist) {
		return "", cli.Refusedf("bottle %s was started from a finished image, not from a Dockerfile\nhint: give its manifest a dockerfile, or reject this one", p.bottle)
	}
	return string(data), err
}

// buildLimit is how long a build may take.
const buildLimit = 30 * time.Minute

// capabilityInstall builds the image on the bottle's engine and has the next start
// use it. The build gets the Dockerfile alone: no file of the operator's.
func capabilityInstall(ctx context.Context, env *cli.Env, at *place, v view, o order) (outcome, error) {
	if o.narrows() {
		return outcome{}, cli.Refusedf("-for, -uses, -path, -methods: wanted none of them for an image")
	}
	text, err := v.Dockerfile()
	if err != nil {
		return outcome{}, cli.Refused(err)
	}
	tag := capability.Tag(at.bottle, text)
	if err := build(ctx, env, at, tag, text); err != nil {
		return outcome{}, err
	}
	img := capability.Image{Image: tag, Base: capability.Sum(v.basis), Proposal: v.ID, Built: time.Now().UTC(), Dockerfile: text}
	if old, err := capability.Load(at.dir); err == nil && old.Dockerfile == v.basis {
		img.Base = old.Base // the bottle was started from an approved one: the manifest's is that one's
	}
	if err := capability.Save(at.dir, img); err != nil {
		return outcome{}, fmt.Errorf("the image %s is built, but the next start will not use it: %w", tag, err)
	}
	fmt.Fprintf(env.Stderr, "superviser approve: built %s; 'bottlerun run' of %s uses it from the next start on\n", tag, at.bottle)
	return outcome{terms: []string{"from the next start of the bottle on"}, before: v.basis, after: text}, nil
}

// build has the engine build text. What the commands of the build print is the
// agent's, and is escaped.
func build(ctx context.Context, env *cli.Env, at *place, tag, text string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	cmd := at.docker.Engine.Command(ctx, "build", "--force-rm", "-t", tag, "--label", "bottle.image="+at.bottle, "-")
	cmd.Stdin = strings.NewReader(text)
	said := &escaped{w: env.Stderr}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	said.flush()
	if err != nil {
		return cli.Refusedf("the image cannot be built: %v\nhint: the lines above say why; reject the proposal with what its author must change", err)
	}
	return nil
}

// escaped writes each line of what is written to it as escape.Text does.
type escaped struct {
	w    io.Writer
	line bytes.Buffer
}

func (e *escaped) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			e.line.Write(p)
			if e.line.Len() > escape.Limit {
				e.flush()
			}
			break
		}
		e.line.Write(p[:i])
		e.flush()
		p = p[i+1:]
	}
	return n, nil
}

// flush ends the line that was begun.
func (e *escaped) flush() {
	if e.line.Len() > 0 {
		fmt.Fprintln(e.w, "  "+escape.Text(strings.TrimRight(e.line.String(), "\r"), 0))
	}
	e.line.Reset()
}
