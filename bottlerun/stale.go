package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	// Not by filepath.Glob, which takes a bracket in the folder's own path for a pattern.
	tokens, err := os.ReadDir(dir.Tokens())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files := []string{dir.CAKey(), dir.In(socketName)}
	for _, t := range tokens {
		files = append(files, filepath.Join(dir.Tokens(), t.Name()))
	}
	// What a kill leaves of atomicfile.Write before its rename is the key, too.
	parts, err := os.ReadDir(dir.Proxy())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, p := range parts {
		if strings.HasPrefix(p.Name(), "."+filepath.Base(dir.CAKey())+".") {
			files = append(files, filepath.Join(dir.Proxy(), p.Name()))
		}
	}
	for _, f := range files {
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
