package carry

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// A Report says what became of the changes.
type Report struct {
	Applied int
	// Held are the changes that were not applied, in their order.
	Held []Held
}

// A Held is a change that was not applied.
type Held struct {
	Path string
	What string // what the agent did
	Why  string
	Kept string // where the agent's bytes are; "" when there are none
}

// Apply applies the changes to the folder, but for protected paths, and for
// those that the host has changed since the snapshot. What is held back is kept
// below the folder held.
func (d *Folder) Apply(ret *Return, snap Snapshot, protected []string, held string) (*Report, error) {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd(), &st); err != nil {
		return nil, err
	}
	a := &applier{d: d, snap: snap, protected: protected, held: held, uid: int(st.Uid), gid: int(st.Gid)}
	for _, c := range ret.Changes {
		err := a.change(c)
		var no *refusal
		if errors.As(err, &no) {
			if err = a.hold(c, no.why); err != nil {
				return &a.report, err
			}
			continue
		}
		if err != nil {
			return &a.report, fmt.Errorf("%q: %w", c.Path, err)
		}
		a.report.Applied++
	}
	return &a.report, nil
}

type applier struct {
	d         *Folder
	snap      Snapshot
	protected []string
	held      string
	uid, gid  int // of the folder, which root gives what it makes to
	report    Report
}

// A refusal is why a change is held back.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

var (
	errProtected = &refusal{"protected"}
	errChanged   = &refusal{"changed on the host meanwhile"}
	errParent    = &refusal{"its folder is not there on the host, or no folder"}
	errNotEmpty  = &refusal{"the host has more in that folder"}
)

func (a *applier) change(c Change) error {
	if a.isProtected(c) {
		return errProtected
	}
	parent, err := beneath.Open(a.d.fd(), path.Dir(c.Path), unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) && c.Gone {
		return nil
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return errParent
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	p := place{parent, path.Base(c.Path)}
	now, there, err := p.lstat()
	if err != nil {
		return err
	}
	if c.Gone {
		return a.remove(p, c, now, there)
	}
	old, had := a.snap[c.Path]
	if !a.unchanged(now, there, old, had) {
		return a.meanwhile(p, c, now)
	}
	if there && now.Mode.IsDir() && !c.Item.Mode.IsDir() {
		if err := unix.Unlinkat(p.dir, p.name, unix.AT_REMOVEDIR); err != nil {
			return notEmpty(err)
		}
		there = false
	}
	return a.put(p, c, there && now.Mode.IsDir())
}

// isProtected: a protected path, what is below it, and the folders above it as
// far as they would not be folders any more.
func (a *applier) isProtected(c Change) bool {
	for _, p := range a.protected {
		if within(c.Path, p) {
			return true
		}
		if within(p, c.Path) && (c.Gone || !c.Item.Mode.IsDir()) {
			return true
		}
	}
	return false
}

// unchanged tells whether the host's is what was taken along. A folder counts as
// one whatever is in it.
func (a *applier) unchanged(now Item, there bool, old Item, had bool) bool {
	if there != had {
		return false
	}
	if !there {
		return true
	}
	if now.Mode.IsDir() || old.Mode.IsDir() {
		return now.Mode.IsDir() && old.Mode.IsDir()
	}
	return now.Mode == old.Mode && now.seen == old.seen
}

// meanwhile is for a path that both have changed: to the same, or not.
func (a *applier) meanwhile(p place, c Change, now Item) error {
	switch {
	case now.Mode.IsDir() && c.Item.Mode.IsDir():
		return nil
	case now.Mode.IsRegular() && c.Item.Mode.IsRegular():
		if sum, err := p.hash(); err == nil && sum == c.Item.Hash {
			return nil
		}
	}
	return errChanged
}

func (a *applier) remove(p place, c Change, now Item, there bool) error {
	switch {
	case !there:
		return nil
	case c.Item.Mode.IsDir() && now.Mode.IsDir():
		return notEmpty(unix.Unlinkat(p.dir, p.name, unix.AT_REMOVEDIR))
	case !a.unchanged(now, there, c.Item, true):
		return errChanged
	}
	return unix.Unlinkat(p.dir, p.name, 0)
}

func notEmpty(err error) error {
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return errNotEmpty
	}
	return err
}

// put makes the item at the place. What is there is a folder, with isDir, or
// nothing that has to stay.
func (a *applier) put(p place, c Change, isDir bool) error {
	switch {
	case c.Item.Mode.IsDir():
		if !isDir {
			if err := unix.Unlinkat(p.dir, p.name, 0); err != nil && err != unix.ENOENT {
				return err
			}
			if err := unix.Mkdirat(p.dir, p.name, 0o700); err != nil {
				return err
			}
		}
		return a.finish(p, c.Item.Mode.Perm()|0o700) // else what is in it could not be put there
	case c.Item.Mode.Type() == fs.ModeSymlink:
		return a.replace(p, func(tmp string) error {
			if err := unix.Symlinkat(c.Item.Link, p.dir, tmp); err != nil {
				return err
			}
			return a.own(p.dir, tmp)
		})
	case c.staged == "":
		return a.finish(p, c.Item.Mode.Perm())
	}
	return a.replace(p, func(tmp string) error { return a.write(p.dir, tmp, c) })
}

// replace makes a new thing under another name and renames it over the place,
// which follows no link there (rename(2)).
func (a *applier) replace(p place, make func(tmp string) error) error {
	tmp := ".bottle-" + strings.ToLower(rand.Text()[:16])
	err := make(tmp)
	if err == nil {
		err = unix.Renameat(p.dir, tmp, p.dir, p.name)
	}
	if err != nil {
		unix.Unlinkat(p.dir, tmp, 0)
	}
	return err
}

func (a *applier) write(dir int, tmp string, c Change) error {
	fd, err := unix.Openat(dir, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := os.NewFile(uintptr(fd), tmp)
	in, err := os.Open(c.staged)
	if err == nil {
		_, err = io.Copy(out, in)
		in.Close()
	}
	if err == nil {
		err = out.Chmod(c.Item.Mode.Perm()) // no set-user-ID bit: Perm has none
	}
	if err == nil && !c.MTime.IsZero() {
		t := unix.NsecToTimeval(c.MTime.UnixNano())
		err = unix.Futimes(fd, []unix.Timeval{t, t})
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return a.own(dir, tmp)
}

// own gives what root has made to the owner of the folder.
func (a *applier) own(dir int, name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Fchownat(dir, name, a.uid, a.gid, unix.AT_SYMLINK_NOFOLLOW)
}

// finish sets permissions, of what is no link.
func (a *applier) finish(p place, perm fs.FileMode) error {
	fd, err := beneath.Open(p.dir, p.name, unix.O_PATH)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := a.own(p.dir, p.name); err != nil {
		return err
	}
	return os.Chmod("/proc/self/fd/"+strconv.Itoa(fd), perm)
}

// A place is a name in an open folder.
type place struct {
	dir  int
	name string
}

func (p place) lstat() (i Item, there bool, err error) {
	var st unix.Stat_t
	err = unix.Fstatat(p.dir, p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return i, false, nil
	}
	return itemOf(st), err == nil, err
}

func (p place) hash() (string, error) {
	fd, err := beneath.Open(p.dir, p.name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), p.name)
	defer f.Close()
	sum := newHashing(io.Discard)
	_, err = io.Copy(sum, f)
	return sum.hex(), err
}

// hold keeps the agent's bytes and says what it did.
func (a *applier) hold(c Change, why string) error {
	h := Held{Path: c.Path, Why: why, What: c.what(a.snap)}
	if c.staged != "" {
		h.Kept = filepath.Join(a.held, filepath.FromSlash(c.Path))
		if err := os.MkdirAll(filepath.Dir(h.Kept), 0o700); err != nil {
			return err
		}
		if err := keep(c.staged, h.Kept); err != nil {
			return err
		}
	}
	a.report.Held = append(a.report.Held, h)
	return nil
}

// keep copies: a hard link's bytes may be staged once for two.
func keep(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// what says in words what the agent did.
func (c Change) what(snap Snapshot) string {
	_, had := snap[c.Path]
	switch {
	case c.Gone:
		return "removed"
	case c.Item.Mode.IsDir():
		return "folder"
	case c.Item.Mode.Type() == fs.ModeSymlink:
		return "link to " + c.Item.Link
	case c.staged == "":
		return fmt.Sprintf("mode %04o", c.Item.Mode.Perm())
	case had:
		return "changed"
	}
	return "new"
}
