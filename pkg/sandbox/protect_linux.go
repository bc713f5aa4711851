package sandbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// What an agent could leave in the workspace for the host to run later is
// read-only inside (facts: hooks planted in .git ran on the host). Three rules:
//
//   - A path that exists is bound over itself, read-only.
//   - A path that is missing gets a placeholder, an empty folder, whatever the
//     path would be: git does not list empty folders, no shell reads one, and
//     the agent can put nothing in its place. The mount needs something to sit
//     on, and removing that on the host would take the mount away, so it stays
//     while a bottle runs. Where a parent is missing, the parent is the
//     placeholder: without .git no repository can be made.
//   - Every folder between the workspace and such a path is bound over itself,
//     writable: a mount point cannot be renamed, else `mv .git x` would
//     carry the read-only hooks away and leave room for others.

// bareHead is what git takes a folder for a repository by.
const bareHead = "HEAD"

// bareProtected is protected in a workspace that is a repository without .git.
var bareProtected = []string{bareHead, "config", "hooks", "modules"}

// BareRepository are the paths that make a folder a repository without .git, or
// configure it.
func BareRepository() []string { return append(slices.Clone(bareProtected), commondir) }

// commondir in a repository sends git elsewhere for configuration and hooks
// (gitrepository-layout(5)). git stops at an empty folder of that name, so in a
// repository its placeholder is a file that says "here".
//
// In the workspace itself stopping is what is wanted: an agent that removes
// .git/HEAD and makes HEAD, objects and refs beside .git would have git take the
// workspace for a repository, with settings of the agent's. A placeholder named
// HEAD would do too, but then 'git diff HEAD' could be a file.
const commondir = "commondir"

const commondirText = ".\n"

// The sticky bit and no write bit mark a placeholder, so that one left by a
// killed launcher is known again.
const (
	placeholderMode = unix.S_ISVTX | 0o555
	placeholderMask = unix.S_ISVTX | 0o222
	movingMode      = unix.S_ISVTX | 0o700 // of a folder on its way to or from a park
)

// cover finds what is to be protected and makes the placeholders.
func (w *Workspace) cover(pol Policy) error {
	for _, rel := range w.toProtect() {
		if rel == gitConfigLock && pol.writable(gitConfig) {
			continue
		}
		if err := w.coverPath(rel, true, pol); err != nil {
			return err
		}
	}
	w.placed = slices.Clone(w.covered)
	_, includes := w.gitPaths()
	for _, rel := range slices.Concat(protectedIfThere, ofMercurial, includes, w.inside(pol.Keep)) {
		if err := w.coverPath(rel, false, pol); err != nil {
			return err
		}
	}
	w.covered = outermost(w.covered)
	if slices.Contains(w.covered, ".git") && !w.Repository() {
		w.notes = append(w.notes, "the workspace has no .git, and the agent cannot make one\nhint: run git init first, or let the agent: -writable .git")
	}
	return nil
}

// outermost sorts the list and drops what lies in another of its paths.
func outermost(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	has := map[string]bool{}
	for _, p := range list {
		has[p] = true
	}
	return slices.DeleteFunc(list, func(p string) bool {
		for dir := filepath.Dir(p); dir != "."; dir = filepath.Dir(dir) {
			if has[dir] {
				return true
			}
		}
		return false
	})
}

// toProtect is what coverPath makes a placeholder for when it is missing.
func (w *Workspace) toProtect() []string {
	list := append(slices.Clone(protected), w.hooksPaths()...)
	for _, dir := range w.gitElsewhere() {
		for _, name := range ofGitDir {
			list = append(list, filepath.Join(dir, name))
		}
	}
	if st, err := beneath.Lstat(int(w.dir.Fd()), bareHead); err == nil && !isPlaceholder(st) {
		list = append(list, bareProtected...)
	}
	if _, err := beneath.Lstat(int(w.dir.Fd()), mercurial); err == nil {
		list = append(list, ofMercurial...)
	}
	return list
}

// inside returns the paths of list that lie in the workspace, relative to it. Of
// a symbolic link that is the link, which coverPath refuses, and what it leads to.
func (w *Workspace) inside(list []string) []string {
	var rels []string
	for _, p := range list {
		dir, err := filepath.EvalSymlinks(filepath.Dir(p))
		if err != nil {
			continue
		}
		link := filepath.Join(dir, filepath.Base(p))
		real, err := filepath.EvalSymlinks(link)
		if err != nil {
			continue
		}
		for _, path := range []string{link, real} {
			if within(path, w.Path) && path != w.Path {
				rels = append(rels, strings.TrimPrefix(path, strings.TrimSuffix(w.Path, "/")+"/"))
			}
		}
	}
	return rels
}

// coverPath adds rel to what is covered. The first part of rel that is missing
// is covered instead of it.
func (w *Workspace) coverPath(rel string, make bool, pol Policy) error {
	if pol.writable(rel) {
		return nil
	}
	parts := strings.Split(rel, "/")
	for i := range parts {
		part := strings.Join(parts[:i+1], "/")
		st, err := beneath.Lstat(int(w.dir.Fd()), part)
		switch {
		case errors.Is(err, unix.ENOENT) && !make:
			w.missing = append(w.missing, rel)
			return nil
		case errors.Is(err, unix.ENOENT) && pol.Dry:
			w.covered = append(w.covered, part)
			return nil
		case errors.Is(err, unix.ENOENT):
			return w.placeholder(part)
		case err != nil:
			return fmt.Errorf("workspace %s: %s: %w", w.Path, plainly(part), err)
		case st.Mode&unix.S_IFMT == unix.S_IFLNK:
			return fmt.Errorf("workspace %s: %s is a symbolic link, which cannot be protected; wanted a file or folder\nhint: replace the link by what it points to, or leave it to the agent: -writable %s", w.Path, plainly(part), plainly(part))
		case st.Mode&unix.S_IFMT != unix.S_IFDIR, i == len(parts)-1, isPlaceholder(st):
			w.covered = append(w.covered, part)
			return nil
		}
	}
	return nil
}

// placeholder makes the missing rel and covers it.
func (w *Workspace) placeholder(rel string) error {
	parent, closeParent, err := parentOf(int(w.dir.Fd()), rel)
	if err != nil {
		return fmt.Errorf("workspace %s: %s: %w", w.Path, plainly(rel), err)
	}
	defer closeParent()
	name, done := filepath.Base(rel), false
	if parks(name) {
		done, err = w.park.take(parent, name)
	}
	if !done && err == nil {
		err = makePlaceholder(parent, name)
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		if !w.owner.Root {
			return nil // who cannot make it here cannot make it inside either: the same user
		}
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("workspace %s: placeholder %s: %w", w.Path, plainly(rel), err)
	}
	w.covered = append(w.covered, rel)
	return nil
}

// parentOf is the folder that rel, below dir, is in, open until done.
func parentOf(dir int, rel string) (parent int, done func(), err error) {
	if !strings.Contains(rel, "/") {
		return dir, func() {}, nil
	}
	parent, err = beneath.Open(dir, filepath.Dir(rel), unix.O_RDONLY|unix.O_DIRECTORY)
	return parent, func() { unix.Close(parent) }, err
}

// placeAgain makes a placeholder where the host has removed what was covered. When
// that fails there is something again, which is covered as it is.
func (w *Workspace) placeAgain(rel string) {
	parent, err := beneath.Open(int(w.dir.Fd()), filepath.Dir(rel), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return
	}
	defer unix.Close(parent)
	makePlaceholder(parent, filepath.Base(rel))
}

func makePlaceholder(parent int, name string) error {
	if name == commondir {
		if _, err := beneath.Lstat(parent, bareHead); err == nil {
			return makeCommondir(parent)
		}
	}
	if err := unix.Mkdirat(parent, name, placeholderMode); err != nil {
		return err
	}
	return setMode(parent, name, placeholderMode) // the umask took some of it
}

func makeCommondir(parent int) error {
	fd, err := unix.Openat(parent, commondir, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(commondirText)); err != nil {
		return err
	}
	return unix.Fchmod(fd, unix.S_ISVTX|0o444)
}

// uncover removes the placeholders when no other bottle holds the workspace: a
// mount point removed on the host would lose its mount in that bottle.
func (w *Workspace) uncover() {
	if unix.Flock(int(w.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	for _, rel := range slices.Concat(w.toProtect(), bareProtected, ofMercurial, w.placed) {
		for ; rel != "."; rel = filepath.Dir(rel) {
			w.removePlaceholder(rel)
		}
	}
}

// removePlaceholder removes rel if it is one. Errors leave it: it is empty.
func (w *Workspace) removePlaceholder(rel string) {
	dir := int(w.dir.Fd())
	st, err := beneath.Lstat(dir, rel)
	if err != nil || !isPlaceholder(st) {
		return
	}
	parent, done, err := parentOf(dir, rel)
	if err != nil {
		return
	}
	defer done()
	flags := unix.AT_REMOVEDIR // rmdir(2) takes only what is empty
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		flags = 0
	} else if parks(filepath.Base(rel)) && slices.Contains(w.covered, rel) && w.park.keep(parent, filepath.Base(rel)) {
		return // what was the agent's to change is not kept
	}
	unix.Unlinkat(parent, filepath.Base(rel), flags)
}

func isPlaceholder(st unix.Stat_t) bool {
	if st.Mode == unix.S_IFDIR|movingMode {
		return true
	}
	if st.Mode&placeholderMask != unix.S_ISVTX {
		return false
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return true
	case unix.S_IFREG:
		return st.Size == int64(len(commondirText))
	}
	return false
}

// Planted are those of Missing that there are now.
func (w *Workspace) Planted() (list []string) {
	for _, rel := range w.missing {
		if _, err := beneath.Lstat(int(w.dir.Fd()), rel); err == nil {
			list = append(list, rel)
		}
	}
	return list
}

// Swaps remembers what the protected and masked paths are. What it returns lists
// those that are something else by then. It is for a container, where nobody can
// cover such a path again.
func (w *Workspace) Swaps() func() []string {
	inode := func(rel string) uint64 {
		st, err := beneath.Lstat(int(w.dir.Fd()), rel)
		if err != nil || isPlaceholder(st) {
			return 0
		}
		return st.Ino
	}
	was := map[string]uint64{}
	paths := slices.Concat(w.covered, w.masked)
	for _, rel := range paths {
		was[rel] = inode(rel)
	}
	return func() (list []string) {
		for _, rel := range paths {
			if inode(rel) != was[rel] {
				list = append(list, rel)
			}
		}
		return list
	}
}

// Repository reports whether the workspace has a .git that is not our placeholder.
func (w *Workspace) Repository() bool {
	st, err := beneath.Lstat(int(w.dir.Fd()), ".git")
	return err == nil && !isPlaceholder(st)
}
