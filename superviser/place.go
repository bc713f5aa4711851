package main

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"bottle/pkg/cli"
	"bottle/pkg/proposal"
	"bottle/pkg/state"
)

// place is which queue a verb works on: that of a bottle, or a folder.
type place struct {
	bottle string    // "" with -queue
	dir    state.Dir // "" with -queue
	queue  string
	audit  string
}

// addFlags declares -bottle and -queue.
func (p *place) addFlags(fs *flag.FlagSet) {
	fs.StringVar(&p.bottle, "bottle", "", "")
	fs.StringVar(&p.queue, "queue", "", "")
}

// addAudit declares -audit as well, of the verbs that write to it or read it.
func (p *place) addAudit(fs *flag.FlagSet) { fs.StringVar(&p.audit, "audit", "", "") }

// find fills in the paths from the flags.
func (p *place) find(env *cli.Env) error {
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
	if _, err := os.Stat(string(p.dir)); errors.Is(err, fs.ErrNotExist) {
		return cli.Refusedf("no bottle %s\nhint: 'bottlerun ls' names the bottles there are", p.bottle)
	}
	p.queue = p.dir.Queue()
	p.audit = or(p.audit, p.dir.Audit())
	return nil
}

// open opens the queue. That of a bottle is made when it is missing.
func (p *place) open() (*proposal.Queue, error) {
	if p.bottle != "" {
		if err := os.MkdirAll(p.queue, 0o700); err != nil {
			return nil, err
		}
	}
	return proposal.Open(p.queue, proposal.Limits{})
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
func get(q *proposal.Queue, id string) (proposal.Record, error) {
	r, err := q.Get(id)
	if errors.Is(err, proposal.ErrNotFound) {
		return r, cli.Refused(err)
	}
	return r, err
}
