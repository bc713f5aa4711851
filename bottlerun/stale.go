package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// cleanStale removes what a launcher left that was killed. Its processes died
// with it; one that did not, against all rules, is ended now. The caller holds
// the bottle.
func cleanStale(dir state.Dir, rec state.Record) error {
	if rec.Boot == state.Boot() {
		for _, p := range rec.Parts {
			if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, state.ErrGone) {
				return err
			}
		}
	}
	if rec.Workspace != "" {
		if err := sandbox.CleanWorkspace(rec.Workspace); err != nil {
			return err
		}
	}
	if err := dropSecrets(dir); err != nil {
		return err
	}
	return remove(dir.Record())
}

// dropSecrets removes the authority's key and the tokens of a run.
func dropSecrets(dir state.Dir) error {
	tokens, err := filepath.Glob(filepath.Join(dir.Tokens(), "*"))
	if err != nil {
		return err
	}
	for _, f := range append(tokens, dir.CAKey(), dir.In(socketName)) {
		if err := remove(f); err != nil {
			return err
		}
	}
	return nil
}

func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
