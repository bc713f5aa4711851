package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"bottle/pkg/canary"
	"bottle/pkg/cli"
	"bottle/pkg/clients"
)

// A probe is what doctor's own bottle has besides: the canary in the place of a
// second proxy, and what has reached it.
type probe struct {
	self string // this program, for the bottle

	mu     sync.Mutex
	sights []canary.Sight
}

func (b *probe) saw(s canary.Sight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.sights) < maxSights {
		b.sights = append(b.sights, s)
	}
}

// maxSights bounds what is kept: the clients ask for a few things each.
const maxSights = 10000

// has reports whether the canary has seen that of a client.
func (b *probe) has(client, kind string, fits func(canary.Sight) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sights {
		if s.Client == client && s.Kind == kind && (fits == nil || fits(s)) {
			return true
		}
	}
	return false
}

// startCanary starts the canary in this process, on loopback.
func (r *running) startCanary() error {
	c, err := canary.New(r.probe.saw)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.pipelockAddr = ln.Addr().String()
	go c.Serve(context.Background(), ln) // until this program ends, soon
	return r.writeUpstreamCA(c.CertPEM())
}

// clientsVerb runs in doctor's bottle and tries the clients that are found there.
func clientsVerb(ctx context.Context, env *cli.Env) error {
	if err := env.Parse(env.Flags(), 0, 0); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "clients-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return clients.All(ctx, env.Stdout, env.Getenv("PATH"), dir)
}

// canaryWord is one line of what _origin prints: first the authority, then what it
// sees.
type canaryWord struct {
	CA    string        `json:"ca,omitempty"`
	Sight *canary.Sight `json:"sight,omitempty"`
}

// originVerb is the canary as a process, in a container of its own.
func originVerb(ctx context.Context, env *cli.Env) error {
	fs := env.Flags()
	if err := env.Parse(fs, 1, 1); err != nil {
		return err
	}
	var mu sync.Mutex
	enc := json.NewEncoder(env.Stdout)
	say := func(w canaryWord) {
		mu.Lock()
		defer mu.Unlock()
		enc.Encode(w)
	}
	c, err := canary.New(func(s canary.Sight) { say(canaryWord{Sight: &s}) })
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", fs.Arg(0))
	if err != nil {
		return err
	}
	say(canaryWord{CA: string(c.CertPEM())})
	return c.Serve(ctx, ln)
}

// hear reads what _origin prints: its authority, and from then on its sights.
func (b *probe) hear(r io.Reader) (certPEM []byte, err error) {
	dec := json.NewDecoder(r)
	var first canaryWord
	if err := dec.Decode(&first); err != nil || first.CA == "" {
		return nil, fmt.Errorf("the canary has no authority: %v", err)
	}
	go func() {
		for {
			var w canaryWord
			if dec.Decode(&w) != nil {
				io.Copy(io.Discard, r)
				return
			}
			if w.Sight != nil {
				b.saw(*w.Sight)
			}
		}
	}()
	return []byte(first.CA), nil
}

// ownProgram is this program's file.
func ownProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(self)
}
