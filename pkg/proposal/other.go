package proposal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"bottle/pkg/capability"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

// The components besides EgressProxy.
const (
	Pipelock   = "pipelock"   // a host that the second proxy shall let through
	Capability = "capability" // another image for the next start
)

// OfHost is a proposal for Pipelock as a Record holds it.
func OfHost(host string) json.RawMessage {
	return object(struct {
		Host string `json:"host"`
	}{host})
}

// OfDockerfile is a proposal for Capability as a Record holds it.
func OfDockerfile(text string) json.RawMessage {
	return object(struct {
		Dockerfile string `json:"dockerfile"`
	}{text})
}

func object(v any) json.RawMessage {
	line, err := strictjson.Encode(v)
	if err != nil {
		panic(err) // one string
	}
	return bytes.TrimSuffix(line, []byte{'\n'})
}

// Host is the host that r proposes for pipelock, in canonical form.
func (r Record) Host() (string, error) {
	if r.Component != Pipelock {
		return "", fmt.Errorf("%s: a proposal for %s names no host for pipelock", r.ID, r.Component)
	}
	p, err := route.ParseProposal(r.ID, r.Proposal)
	if err != nil {
		return "", err
	}
	if p.PathAllowlist != nil || p.Methods != nil || p.Auth != nil {
		return "", fmt.Errorf("%s: wanted a host alone", r.ID)
	}
	return p.Host, nil
}

// Dockerfile is the text that r proposes, checked.
func (r Record) Dockerfile() (string, error) {
	if r.Component != Capability {
		return "", fmt.Errorf("%s: a proposal for %s has no Dockerfile", r.ID, r.Component)
	}
	var p struct {
		Dockerfile *string `json:"dockerfile"`
	}
	if err := strictjson.Unmarshal(r.Proposal, &p); err != nil {
		return "", err
	}
	if p.Dockerfile == nil {
		return "", errors.New("no Dockerfile in it")
	}
	return *p.Dockerfile, capability.Check(*p.Dockerfile)
}
