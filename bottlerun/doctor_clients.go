package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bottle/pkg/bottle"
	"bottle/pkg/canary"
	"bottle/pkg/cli"
	"bottle/pkg/route"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// tryClients starts a bottle of doctor's own, by the manifest, in which the agent
// is a program that tries the clients it finds, through the bottle's own
// egress-proxy; behind that is the canary.
func (d *diagnosis) tryClients(ctx context.Context, env *cli.Env) error {
	p, done, err := d.plan(env)
	if err != nil {
		return err
	}
	defer done()
	var out limitedBuffer
	var said ending
	inner := *env
	inner.Stdin, inner.Stdout, p.back.errors = nil, &out, &said
	if err := start(ctx, &inner, p); err != nil {
		return notTheAgents(err, p, said.b)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted: not all clients were tried")
	}
	t := &table{has: p.manifest.Clients, sights: p.probe}
	if err := t.read(out.b.Bytes(), p.dir.AccessLog()); err != nil {
		return err
	}
	if err := t.print(env, d); err != nil {
		return err
	}
	if d.fixes {
		if err := d.fix(env, p, t.needs()); err != nil {
			return err
		}
	}
	return t.verdict(d.fixes)
}

// notTheAgents: the exit code of a start is the agent's, or says that there is none,
// and here it is doctor's, with what was said in the bottle. A log that is hinted at
// goes with the plan's folder.
func notTheAgents(err error, p *plan, said []byte) error {
	if errors.Is(err, cli.Silent) {
		lines := bytes.SplitAfterN(said, []byte("\n"), 6)
		first := bytes.Join(lines[:min(len(lines), 5)], nil)
		return fmt.Errorf("the program that tries the clients has failed in the bottle:\n%s", linesOf(first, 5))
	}
	code := cli.CodeOf(err)
	if code == sandbox.CannotStart {
		code = cli.Trouble
	}
	what, hints := advised(err)
	lasting := slices.DeleteFunc(hints, func(h string) bool { return strings.Contains(h, p.root) })
	if len(lasting) < len(hints) {
		err = errors.New(strings.Join(append([]string{what}, lasting...), "\nhint: "))
	}
	return cli.Exit(code, err)
}

// maxTried bounds what the bottle may say: a report is well below 1 KB.
const maxTried = 256 << 10

// A limitedBuffer drops what is more.
type limitedBuffer struct{ b bytes.Buffer }

func (w *limitedBuffer) Write(p []byte) (int, error) {
	w.b.Write(p[:min(len(p), maxTried-w.b.Len())])
	return len(p), nil
}

// plan is that of the manifest's bottle with another name, table and command, in
// folders that go with it: the bottle itself, which may run, is left alone.
func (d *diagnosis) plan(env *cli.Env) (p *plan, done func(), err error) {
	p = &plan{getenv: env.Getenv, readOnly: d.readOnly, context: d.context, probe: &probe{}}
	if p.probe.self, err = ownProgram(); err != nil {
		return nil, nil, err
	}
	for _, step := range []func(options) error{p.readManifest, p.findBackend, p.noEnv, p.findDocker, p.findWorkspace, p.findName, p.findPrograms, p.setPolicy} {
		if err := step(d.options); err != nil {
			return nil, nil, err
		}
	}
	if d.fixes && p.text == nil {
		return nil, nil, cli.Refusedf("-fix: there is no manifest to write to\nhint: bottlerun init, or -f FILE")
	}
	dir, err := os.MkdirTemp("", doctorPrefix)
	if err != nil {
		return nil, nil, err
	}
	done = func() { os.RemoveAll(dir) }
	if err := p.moveTo(dir); err != nil {
		done()
		return nil, nil, err
	}
	m := p.manifest
	if !m.Pipelock.Off() {
		note(env, "the bottle's pipelock is left out: egress-proxy ends the clients' TLS in any case")
	}
	m.Pipelock, m.EgressProxy = bottle.Pipelock{}, bottle.EgressProxy{}
	m.Limits.Idle, m.Limits.Wall = 0, 0
	p.pipelock, p.endsTLS = "", true
	p.table, err = route.Parse("the canary's", []byte("routes: [{host: \"*."+canary.Domain+"\"}]\n"))
	p.command = []string{filepath.Join(sandbox.BinDir, "bottlerun"), "_clients"}
	return p, done, err
}

// noEnv: -backend env is no bottle.
func (p *plan) noEnv(options) error {
	if p.backend == backendEnv {
		return cli.Misused("the backend env is no bottle; wanted -backend local or docker")
	}
	return nil
}

// moveTo gives the plan a place and a name that no bottle has, and an empty
// workspace of the same owner: who started by root the agent is, that decides.
func (p *plan) moveTo(dir string) error {
	info, err := os.Stat(p.work)
	if err != nil {
		return err
	}
	p.root, p.work = filepath.Join(dir, doctorState), filepath.Join(dir, "work")
	st, ok := info.Sys().(*syscall.Stat_t)
	for _, folder := range []string{p.work, filepath.Join(p.work, ".git")} { // without which there is a note
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		if ok && os.Geteuid() == 0 {
			if err := os.Chown(folder, int(st.Uid), int(st.Gid)); err != nil {
				return err
			}
		}
	}
	b := make([]byte, 3)
	rand.Read(b)
	p.name = p.name[:min(len(p.name), 30)] + "-doctor-" + hex.EncodeToString(b)
	p.policy.Hidden, p.bind = append(p.policy.Hidden, p.root), false
	p.dir, err = state.At(p.root, p.name)
	return err
}
