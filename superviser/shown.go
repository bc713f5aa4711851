package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"bottle/pkg/atomicfile"
	"bottle/pkg/cli"
	"bottle/pkg/state"
)

// shownFile is the note of show: which digest the operator has seen of a
// proposal. It lies beside the queue and not in it, where no agent's side writes.
func shownFile(dir state.Dir, id string) string { return filepath.Join(dir.Shown(), id+".json") }

type shownNote struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

func noteShown(dir state.Dir, id, digest string) error {
	if err := os.MkdirAll(dir.Shown(), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(shownNote{id, digest})
	if err != nil {
		return err
	}
	return atomicfile.Write(shownFile(dir, id), append(data, '\n'), 0o600)
}

// shownDigest is what the operator has seen of the proposal id.
func shownDigest(dir state.Dir, id string) (string, error) {
	data, err := os.ReadFile(shownFile(dir, id))
	if errors.Is(err, fs.ErrNotExist) {
		return "", cli.Refusedf("%s was not shown yet\nhint: run 'superviser show -bottle %s %s' first", id, dir.Name(), id)
	}
	if err != nil {
		return "", err
	}
	var n shownNote
	if err := json.Unmarshal(data, &n); err != nil || n.ID != id {
		return "", cli.Refusedf("%s: not a note of 'superviser show'\nhint: show the proposal again", shownFile(dir, id))
	}
	return n.Digest, nil
}
