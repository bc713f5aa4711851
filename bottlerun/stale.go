package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bottle/pkg/cli"
	"bottle/pkg/mirror"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// cleanStale removes what a launcher left that was killed. Its processes died
// with it; one that did not, against all rules, is ended now. The caller holds
// the bottle.
func cleanStale(env *cli.Env, dir state.Dir, rec state.Record) error {
	if rec.Boot == state.Boot() {
		for _, p := range rec.Parts {
			if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, state.ErrGone) {
				return err
			}
		}
	}
	if rec.Backend == backendDocker {
		return cleanDocker(env, dir, rec)
	}
	if err := sandbox.RemoveGroup(rec.Group); err != nil {
		return err
	}
	if rec.Workspace != "" {
		if err := sandbox.CleanWorkspace(rec.Workspace); err != nil {
			return err
		}
	}
	if err := errors.Join(dropSecrets(dir), dropTorn(dir)); err != nil {
		return err
	}
	return remove(dir.Record())
}

// dropTorn removes what a kill leaves of a launcher's atomicfile.Write, or a part's,
// before its rename.
func dropTorn(dir state.Dir) error {
	for _, path := range []string{dir.Record(), dir.Manifest(), dir.CACert(), dir.Status(), dir.UpstreamCA()} {
		files, err := keyFiles(path)
		if err != nil {
			return err
		}
		for _, torn := range files[1:] {
			if err := remove(torn); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropSecrets removes the authorities' keys and the tokens of a run.
func dropSecrets(dir state.Dir) error {
	// Not by filepath.Glob, which takes a bracket in the folder's own path for a pattern.
	tokens, err := os.ReadDir(dir.Tokens())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files := []string{dir.In(socketName), dir.Exec()}
	for _, t := range tokens {
		files = append(files, filepath.Join(dir.Tokens(), t.Name()))
	}
	for _, key := range []string{dir.CAKey(), filepath.Join(dir.Pipelock(), mirror.KeyFile)} {
		copies, err := keyFiles(key)
		if err != nil {
			return err
		}
		files = append(files, copies...)
	}
	for _, f := range files {
		if err := remove(f); err != nil {
			return err
		}
	}
	return nil
}

// keyFiles are the key, or another file, and what a kill leaves of atomicfile.Write before its
// rename, which is the key, too.
func keyFiles(key string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files := []string{key}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "."+filepath.Base(key)+".") {
			files = append(files, filepath.Join(filepath.Dir(key), e.Name()))
		}
	}
	return files, nil
}

func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
