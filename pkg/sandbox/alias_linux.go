package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"
)

// A file may have two names (link(2)). One that is masked, or read-only, by one of
// them is not by the other: an agent that makes .env and notes two names of one file,
// which the operator then fills, would read it as notes in the next bottle. A mount
// cannot help, as it lies on a name.

// A fileID tells files apart, whatever their names.
type fileID struct{ dev, ino uint64 }

// An aliasSearch is one for such other names.
type aliasSearch struct {
	w   *Workspace
	pol Policy
	// Files of several names that are to be closed, by one of them.
	unread, unwritten map[fileID]string
}

// refuseAliases refuses a workspace in which what is masked or covered has another
// name that is neither. Nearly always there is nothing to look for.
func (w *Workspace) refuseAliases(pol Policy) error {
	s := &aliasSearch{w: w, pol: pol, unread: map[fileID]string{}, unwritten: map[fileID]string{}}
	for _, of := range []struct {
		rels  []string
		found map[fileID]string
	}{{w.masked, s.unread}, {w.covered, s.unwritten}} {
		for _, rel := range of.rels {
			if err := s.collect(rel, of.found); err != nil {
				return err
			}
		}
	}
	if len(s.unread)+len(s.unwritten) == 0 {
		return nil
	}
	return filepath.WalkDir(w.Path, s.visit)
}

// collect adds the files of several names in rel, which is a file or a folder.
func (s *aliasSearch) collect(rel string, found map[fileID]string) error {
	return filepath.WalkDir(filepath.Join(s.w.Path, rel), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return passOver(d, err)
		}
		id, several := identify(d)
		if several {
			found[id] = s.w.rel(path)
		}
		return nil
	})
}

// passOver goes on without what is gone, or closed to us: look has refused what the
// agent could open.
func passOver(d fs.DirEntry, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission) && d != nil && d.IsDir():
		return fs.SkipDir
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// identify reports whether d is a file of several names, and which.
func identify(d fs.DirEntry) (id fileID, several bool) {
	if !d.Type().IsRegular() {
		return id, false
	}
	fi, err := d.Info()
	if err != nil {
		return id, false // it is gone
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return fileID{uint64(st.Dev), st.Ino}, ok && st.Nlink > 1
}

func (s *aliasSearch) visit(path string, d fs.DirEntry, err error) error {
	if err != nil {
		return passOver(d, err)
	}
	rel := s.w.rel(path)
	if slices.Contains(s.w.masked, rel) {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	id, several := identify(d)
	if !several {
		return nil
	}
	if of := s.unread[id]; of != "" && !chosen(s.pol.Show, rel) {
		return fmt.Errorf("workspace %s: %q is another name of the file %q, which the agent must not see; wanted one name\nhint: remove one of the two; or in the manifest, protect: {mask: [%s]} hides both, protect: {show: [%s]} shows both",
			s.w.Path, rel, of, plainly(rel), plainly(of))
	}
	if of := s.unwritten[id]; of != "" && !s.isCovered(rel) {
		return fmt.Errorf("workspace %s: %q is another name of the file %q, which the agent must not change; wanted one name\nhint: remove one of the two, or leave it to the agent: -writable %s", s.w.Path, rel, of, plainly(of))
	}
	return nil
}

func (s *aliasSearch) isCovered(rel string) bool {
	return slices.ContainsFunc(s.w.covered, func(c string) bool { return within(rel, c) })
}
