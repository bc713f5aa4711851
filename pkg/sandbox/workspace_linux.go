package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A Policy says what OpenWorkspace lets pass.
type Policy struct {
	Force    bool     // accept the home folder, and folders above it
	Writable []string // protected paths, relative to the workspace, that stay writable
	Keep     []string // host files, absolute, that become read-only where they lie in the workspace
	// Mask and Show are patterns of the operator's (secrets.go): what is masked
	// besides files of credentials, and what never is, which goes first.
	Mask, Show  []string
	ShowSecrets bool     // mask no files of credentials
	Hidden      []string // host folders, absolute, that no workspace may contain or lie in
	Dry         bool     // for a plan: check everything, make no placeholder
	Getenv      func(string) string
	// Park is a folder of the caller's alone, absolute, where placeholders wait for
	// the next time; "" for none.
	Park string

	idmap func() (*os.File, error) // what Begin began
	used  map[string]bool          // of Writable, for something
}

// writable reports whether rel is left to the agent.
func (p Policy) writable(rel string) bool {
	is := false
	for _, x := range p.Writable {
		if within(rel, filepath.Clean(x)) {
			is = true
			p.used[x] = true
		}
	}
	return is
}

// unused are those of Writable that are for nothing.
func (p Policy) unused() []string {
	return slices.DeleteFunc(slices.Clone(p.Writable), func(x string) bool { return p.used[x] })
}

// Begin starts ahead what OpenWorkspace of path will need a process for, so that it
// is there by then. OpenWorkspace has to follow.
func (pol *Policy) Begin(path string) {
	if fi, err := os.Stat(path); err == nil {
		if id, err := identityFor(fi, pol.Getenv); err == nil && id.Mapped {
			pol.idmap = beginIdmap()
		}
	}
}

func beginIdmap() func() (*os.File, error) {
	idmap := sync.OnceValues(rootIdmap)
	go idmap()
	return idmap
}

// A Workspace is a folder that was found fit to be given to an agent. It is
// held with a shared lock until Close, so that the last bottle that leaves it
// removes the placeholders (protect_linux.go).
type Workspace struct {
	Path    string // canonical: absolute, no symbolic links
	dir     *os.File
	owner   identity
	idmap   func() (*os.File, error) // rootIdmap, once; nil when none is needed
	park    *park
	covered []string        // relative paths that are read-only inside
	missing []string        // those that would be, were they there
	placed  []string        // those of covered that are covered whether there or not
	masked  []string        // relative paths that are empty inside
	marks   map[string]mark // what is at the paths that are covered or masked
	tracked []string        // files of credentials that git has, and that are shown
	hidden  []string        // Policy.Hidden
	idle    []string        // patterns of Policy.Mask that are for nothing here
	notes   []string
}

// OpenWorkspace checks the folder path against what an agent must not get:
// system folders, the home folder (unless pol.Force), folders that hold or lie
// in pol.Hidden, folders with sockets in them, and protected paths and files of
// credentials that are symbolic links or have other names there. It then makes the placeholders; Close removes them.
func OpenWorkspace(path string, pol Policy) (*Workspace, error) {
	canonical, err := canonicalDir(path)
	if err != nil {
		return nil, err
	}
	if err := refusePlace(canonical, pol); err != nil {
		return nil, err
	}
	// What was checked is what is opened, whoever renames folders meanwhile; all
	// that follows goes by this descriptor.
	fd, err := unix.Openat2(unix.AT_FDCWD, canonical, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("workspace %s: %w", path, err)
	}
	w := &Workspace{Path: canonical, hidden: pol.Hidden, dir: os.NewFile(uintptr(fd), canonical)}
	if err := w.prepare(pol); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Workspace) prepare(pol Policy) error {
	pol.used = map[string]bool{}
	fi, err := w.dir.Stat()
	if err != nil {
		return err
	}
	if w.owner, err = identityFor(fi, pol.Getenv); err != nil {
		return err
	}
	if w.owner.Mapped && !pol.Dry {
		w.idmap = pol.idmap
		if w.idmap == nil {
			w.idmap = beginIdmap()
		}
	}
	if err := w.look(pol); err != nil {
		return err
	}
	if n := w.owner.note(w.Path, fi); n != "" {
		w.notes = append(w.notes, n)
	}
	if err := unix.Flock(int(w.dir.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fmt.Errorf("workspace %s: a bottle is just leaving it; try again (%w)", w.Path, err)
	}
	if !pol.Dry {
		w.park = openPark(pol.Park, w.dir)
	}
	if err := w.cover(pol); err != nil {
		return err
	}
	for _, x := range pol.unused() {
		w.notes = append(w.notes, fmt.Sprintf("-writable %s: nothing of that name is protected or masked in the workspace; wanted a path from there on, such as .vscode", x))
	}
	if err := w.refuseAliases(pol); err != nil || pol.Dry {
		return err
	}
	return w.mark()
}

// Notes are sentences for the operator about this workspace.
func (w *Workspace) Notes() []string { return w.notes }

// Covered lists the paths below the workspace that are read-only inside.
func (w *Workspace) Covered() []string { return slices.Clone(w.covered) }

// Masked lists the paths below the workspace in whose place the agent finds an empty
// file, or folder. One may be below what is Covered, or the same.
func (w *Workspace) Masked() []string { return slices.Clone(w.masked) }

// Tracked lists the files of credentials that are shown since git has them.
func (w *Workspace) Tracked() []string { return slices.Clone(w.tracked) }

// Idle lists the patterns of Policy.Mask that are for nothing in the workspace.
func (w *Workspace) Idle() []string { return slices.Clone(w.idle) }

// Missing lists the paths below the workspace that would be read-only inside if
// they were there, and that an agent may make.
func (w *Workspace) Missing() []string { return slices.Clone(w.missing) }

// Close removes the placeholders, unless another bottle still uses the
// workspace, and lets go of it.
func (w *Workspace) Close() {
	if w.dir == nil {
		return
	}
	w.uncover()
	w.park.close()
	w.dir.Close()
	w.dir = nil
	if w.idmap != nil {
		if f, err := w.idmap(); err == nil {
			f.Close()
		}
	}
}

// CleanWorkspace removes the placeholders that a killed launcher left in the
// workspace path, unless a bottle uses it. A workspace that is gone is clean.
func CleanWorkspace(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	(&Workspace{Path: path, dir: dir}).uncover()
	return nil
}

func canonicalDir(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("workspace %s: %w", path, reason(err))
	}
	fi, err := os.Stat(real)
	if err != nil {
		return "", fmt.Errorf("workspace %s: %w", path, reason(err))
	}
	if !fi.IsDir() {
		return "", fmt.Errorf("workspace %s: not a folder", path)
	}
	return real, nil
}

// reason strips the path that the caller has named already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Folders that belong to the system: giving one away gives away the host, or
// hides what the sandbox itself puts there.
var (
	systemTrees = []string{"/proc", "/sys", "/dev", "/boot", RunDir, "/etc", "/bin", "/sbin", "/lib", "/lib64",
		"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/share",
		"/usr/local/bin", "/usr/local/sbin", "/usr/local/lib", "/var/spool"}
	systemDirs = []string{"/", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/etc", "/opt", "/var", "/run", "/tmp",
		"/home", "/root", "/srv", "/mnt", "/media", "/usr/local", "/var/lib", "/var/tmp", "/run/user", Home}
)

func refusePlace(path string, pol Policy) error {
	if holdsHome(path, pol) {
		if path != "/" && pol.Force {
			return refuseHidden("workspace", path, pol.Hidden)
		}
		return fmt.Errorf("workspace %s: it is the home folder or holds it, with keys and settings in it; wanted a folder of one project\nhint: -force gives it away all the same (never /)", path)
	}
	for _, d := range systemTrees {
		if within(path, d) {
			return fmt.Errorf("workspace %s: lies in %s; wanted a folder of one project", path, d)
		}
	}
	if slices.Contains(systemDirs, path) {
		return fmt.Errorf("workspace %s: belongs to the system; wanted a folder of one project", path)
	}
	return refuseHidden("workspace", path, pol.Hidden)
}

// holdsHome reports whether path is or holds a home folder: the operator's,
// that of the user behind sudo, that of the folder's owner, whose files root can
// give away as well.
func holdsHome(path string, pol Policy) bool {
	uids := []string{strconv.Itoa(os.Geteuid())}
	var homes []string
	if pol.Getenv != nil {
		homes, uids = append(homes, pol.Getenv("HOME")), append(uids, pol.Getenv("SUDO_UID"))
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		uids = append(uids, strconv.Itoa(int(st.Uid)))
	}
	for _, uid := range uids {
		if u, err := user.LookupId(uid); err == nil {
			homes = append(homes, u.HomeDir)
		}
	}
	return slices.ContainsFunc(homes, func(home string) bool {
		h, err := filepath.EvalSymlinks(home)
		return err == nil && home != "" && within(h, path)
	})
}

// refuseHidden refuses what the agent would see the bottles' own files in: their
// credentials, and sockets that are made there later. What says what it is.
func refuseHidden(what, path string, hidden []string) error {
	for _, d := range hidden {
		real, err := filepath.EvalSymlinks(d)
		if err != nil {
			real = d // not made yet: compare as written
		}
		if within(real, path) || within(path, real) {
			return fmt.Errorf("%s %s: it and the bottles' own files in %s must not contain each other\nhint: BOTTLE_DIR=FOLDER has them elsewhere", what, path, d)
		}
	}
	return nil
}

// within reports whether path is dir or lies below it. Both are clean.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
