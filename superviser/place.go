package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"bottle/pkg/bottles"
	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/state"
)

// place is which queue a verb works on: that of a bottle, or a folder.
type place struct {
	bottle  string          // "" with -queue
	context string          // of docker, "" for the bottle's own or the CLI's choice
	dir     state.Dir       // "" with -queue
	docker  *bottles.Bottle // nil of a local bottle
	queue   string
	audit   string

	served  *served // the table, once it was read
	unknown error   // why it could not be
}

// addFlags declares -bottle, -context and -queue.
func (p *place) addFlags(fs *flag.FlagSet) {
	fs.StringVar(&p.bottle, "bottle", "", "")
	fs.StringVar(&p.context, "context", "", "")
	fs.StringVar(&p.queue, "queue", "", "")
}

// addAudit declares -audit as well, of the verbs that write to it or read it.
func (p *place) addAudit(fs *flag.FlagSet) { fs.StringVar(&p.audit, "audit", "", "") }

// find fills in the paths from the flags.
func (p *place) find(ctx context.Context, env *cli.Env) error {
	if (p.bottle == "") == (p.queue == "") {
		return cli.Misused("wanted either -bottle NAME or -queue DIR")
	}
	if p.queue != "" {
		p.audit = or(p.audit, filepath.Join(p.queue, "audit.jsonl"))
		return nil
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	if p.dir, err = state.At(root, p.bottle); err != nil {
		return cli.Misused("%v", err)
	}
	if !p.local() {
		b, err := bottles.Find(ctx, env.Getenv, p.context, p.bottle)
		if errors.Is(err, bottles.ErrAbsent) || errors.Is(err, bottles.ErrStopped) {
			return cli.Refused(err)
		}
		if err != nil {
			return err
		}
		if b.Engine != nil {
			p.docker = b
		}
	}
	p.fill()
	return nil
}

// local reports whether the bottle's files are all on this machine; they are also
// when it does not run.
func (p *place) local() bool {
	if p.context != "" {
		return false
	}
	if r, err := p.dir.Load(); !errors.Is(err, fs.ErrNotExist) {
		return err != nil || r.Backend != bottles.Docker
	}
	_, err := os.Stat(p.dir.Queue()) // a docker bottle's is elsewhere
	return err == nil
}

// findFiles is find for what lies on this machine in any case, whether the
// bottle runs or not.
func (p *place) findFiles(env *cli.Env) error {
	if p.bottle == "" || p.queue != "" {
		return p.find(context.Background(), env) // asks nobody
	}
	root, err := state.Root(env.Getenv)
	if err != nil {
		return err
	}
	if p.dir, err = state.At(root, p.bottle); err != nil {
		return cli.Misused("%v", err)
	}
	if _, err := os.Stat(string(p.dir)); errors.Is(err, fs.ErrNotExist) {
		return cli.Refusedf("no bottle %q below %s\nhint: 'bottlerun ls' names the bottles there are", p.bottle, root)
	}
	p.fill()
	return nil
}

func (p *place) fill() {
	p.queue = p.dir.Queue()
	p.audit = or(p.audit, p.dir.Audit())
}

// flags are what names the place's bottle to the other programs.
func (p *place) flags() []string {
	if p.context != "" {
		return []string{"-bottle", p.bottle, "-context", p.context}
	}
	return []string{"-bottle", p.bottle}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// operator is who decides, for the audit log.
func operator(env *cli.Env) string {
	return or(or(env.Getenv("USER"), env.Getenv("LOGNAME")), "uid "+strconv.Itoa(os.Getuid()))
}

// parseID parses the flags of a verb whose one operand is an ID; flags may also
// follow it, as one types them after reading the ID off a list.
func parseID(env *cli.Env, fs *flag.FlagSet) (string, error) {
	if err := env.Parse(fs, 1, -1); err != nil {
		return "", err
	}
	id := fs.Arg(0)
	rest := *env
	rest.Args = fs.Args()[1:]
	if err := rest.Parse(fs, 0, 0); err != nil {
		return "", err
	}
	if err := proposal.ValidID(id); err != nil {
		return "", cli.Refused(err)
	}
	return id, nil
}

// get reads the proposal id; that there is none is an answer.
func get(q queue, id string) (proposal.Record, error) {
	r, err := q.Get(id)
	if errors.Is(err, proposal.ErrNotFound) {
		return r, cli.Refused(err)
	}
	return r, err
}
