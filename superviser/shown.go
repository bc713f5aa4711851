package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bottle/pkg/atomicfile"
	"bottle/pkg/cli"
	"bottle/pkg/escape"
	"bottle/pkg/proposal"
	"bottle/pkg/route"
	"bottle/pkg/state"
	"bottle/pkg/strictjson"
	"bottle/pkg/textdiff"
)

// shownFile is the note of show: what the operator has seen of a proposal. It
// lies beside the queue and not in it, where no agent's side writes.
func shownFile(dir state.Dir, id string) string { return filepath.Join(dir.Shown(), id+".json") }

// A shownNote is what was shown: its digest, and what that was made of, for
// telling later what has changed.
type shownNote struct {
	ID     string           `json:"id"`
	Digest string           `json:"digest"`
	Record *proposal.Record `json:"record,omitempty"`
	Basis  string           `json:"basis,omitempty"` // what the proposal was compared with; "" when it is large
	Ended  bool             `json:"ended,omitempty"` // the route had ended
}

// maxBasis bounds what a note keeps of what was shown.
const maxBasis = 1 << 20

func noteShown(dir state.Dir, v view) error {
	if err := os.MkdirAll(dir.Shown(), 0o700); err != nil {
		return err
	}
	n := shownNote{ID: v.ID, Digest: v.Digest, Record: &v.Record, Ended: v.ended}
	if len(v.basis) <= maxBasis {
		n.Basis = v.basis
	}
	data, err := strictjson.Encode(n)
	if err != nil {
		return err
	}
	return atomicfile.Write(shownFile(dir, v.ID), data, 0o600)
}

// readShown is what the operator has seen of the proposal id.
func readShown(dir state.Dir, id string) (shownNote, error) {
	data, err := os.ReadFile(shownFile(dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return shownNote{}, cli.Refusedf("%s was not shown yet\nhint: run 'superviser show -bottle %s %s' first", id, dir.Name(), id)
	}
	if err != nil {
		return shownNote{}, err
	}
	var n shownNote
	if err := json.Unmarshal(data, &n); err != nil || n.ID != id {
		return shownNote{}, cli.Refusedf("%s: not a note of 'superviser show'\nhint: show the proposal again", shownFile(dir, id))
	}
	return n, nil
}

// bound refuses when the proposal and what it changes are not what was shown:
// what has the digest want, or else what show has noted. It says what is
// different.
func bound(at *place, v view, want string) error {
	note, err := readShown(at.dir, v.ID)
	if want == "" {
		if err != nil {
			return err
		}
		want = note.Digest
	}
	if want == v.Digest {
		return nil
	}
	text := fmt.Sprintf("the proposal or what it changes is not what was shown (digest %.60q; now %q)", want, v.Digest)
	if err == nil && note.Digest == want {
		text += "\nchanged since it was shown:\n" + strings.Join(note.changed(v), "\n")
	}
	return cli.Refusedf("%s\nhint: run 'superviser show %s %s' and look again", text, strings.Join(at.flags(), " "), v.ID)
}

// maxChanges bounds the lines that say what has changed.
const maxChanges = 40

// changed says what of v is not as it was shown, as lines to look at.
func (n shownNote) changed(v view) []string {
	var lines []string
	if n.Record != nil {
		lines = append(lines, recordChanges(*n.Record, v.Record)...)
	}
	if v.ended && !n.Ended {
		lines = append(lines, "the route has ended since: an approval would renew all that it had")
	}
	switch {
	case n.Basis == v.basis:
	case n.Basis == "" || len(v.basis) > maxBasis:
		lines = append(lines, "what the bottle has: too large to compare here")
	default:
		lines = append(lines, basisChanges(n.Basis, v.basis)...)
	}
	if more := len(lines) - maxChanges; more > 0 {
		lines = append(lines[:maxChanges], fmt.Sprintf("... and %d more", more))
	}
	for i, l := range lines {
		lines[i] = "  " + escape.Text(l, 300)
	}
	return lines
}

func recordChanges(was, is proposal.Record) []string {
	var lines []string
	field := func(name, was, is string) {
		if was != is {
			lines = append(lines, "- "+name+": "+was, "+ "+name+": "+is)
		}
	}
	if !bytes.Equal(was.Proposal, is.Proposal) {
		field("proposal", string(was.Proposal), string(is.Proposal))
	}
	field("justification", was.Justification, is.Justification)
	field("component", was.Component, is.Component)
	field("client", was.Client, is.Client)
	field("filed", was.Filed.String(), is.Filed.String())
	return lines
}

// basisChanges compares tables as routes and all else line by line.
func basisChanges(was, is string) []string {
	old, errOld := route.Parse("then", []byte(was))
	now, errNow := route.Parse("now", []byte(is))
	if errOld != nil || errNow != nil {
		return textdiff.Lines(was, is, 1)
	}
	var lines []string
	for _, c := range route.Diff(old, now) {
		lines = append(lines, "table: "+c.Text)
	}
	if lines == nil {
		lines = []string{"table: in another order or spelling"}
	}
	return lines
}
