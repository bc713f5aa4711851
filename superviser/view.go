package main

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"bottle/pkg/proposal"
	"bottle/pkg/risk"
	"bottle/pkg/route"
	"bottle/pkg/strictjson"
)

// view is a proposal as the operator decides about it: what would change, what
// that means, and the digest that an approval is bound to.
type view struct {
	proposal.Record
	Changes []route.Change `json:"changes,omitempty"`
	Level   string         `json:"level,omitempty"`  // of the worst risk
	Risks   []string       `json:"risks,omitempty"`  // the worst first
	Digest  string         `json:"digest,omitempty"` // "" without a table to compare with

	risks []risk.Risk
	basis string // what the proposal was compared with, as text
	was   string // pipelock's configuration, by its hash
	at    time.Time
	ended bool // the route that it would widen has ended at that time, and is renewed
}

// weigh sets the risks of v.
func (v *view) weigh(risks []risk.Risk) {
	v.risks, v.Risks, v.Level = risks, risk.Texts(risks), risk.Max(risks).String()
}

// digest binds an approval to every byte of the record, to the table, and to
// whether the route has ended: the agent can use one up, and an approval then
// renews all that it had.
func digest(r proposal.Record, t *route.Table, ended bool) (string, error) {
	text := t.Digest()
	if ended {
		text += "\nended"
	}
	return digestWith(r, text)
}

// digestWith binds to every byte of the record and to a text.
func digestWith(r proposal.Record, text string) (string, error) {
	line, err := strictjson.Encode(r)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	h.Write(line)
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// viewOf shows r against the table now that is served; refused are recent
// requests.
func viewOf(r proposal.Record, p route.Proposal, now *route.Table, uses map[string]int64, refused ...risk.Refusal) (view, error) {
	next, m, err := route.Merge(now, p)
	if err != nil {
		return view{}, err
	}
	at := time.Now()
	if next, err = grant(next, now, p.Host, at, order{}, uses); err != nil {
		return view{}, err
	}
	was := find(now, p.Host)
	v := view{Record: r, Changes: route.Diff(now, next), at: at, ended: was != nil && was.Ended(at, uses)}
	if v.Digest, err = digest(r, now, v.ended); err != nil {
		return view{}, err
	}
	v.weigh(risk.Of(risk.Case{Proposal: p, Now: now, Next: next, Merged: m, Uses: uses, At: at, Refused: refused}))
	return v, nil
}

// find is the route of t that is spelt host.
func find(t *route.Table, host string) *route.Route {
	i := slices.IndexFunc(t.Routes, func(r route.Route) bool { return r.Host == host })
	if i < 0 {
		return nil
	}
	return &t.Routes[i]
}
