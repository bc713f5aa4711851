// Package state is where the files of a bottle live, and which of its processes run.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Root returns the folder that holds one folder per bottle: $BOTTLE_DIR, else
// ${XDG_STATE_HOME:-~/.local/state}/bottle (XDG Base Directory Specification).
func Root(getenv func(string) string) (string, error) {
	if dir := getenv("BOTTLE_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "bottle"), nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("no place for the state of bottles: HOME is not set\nhint: set BOTTLE_DIR to a folder of yours")
	}
	return filepath.Join(home, ".local/state/bottle"), nil
}

// ValidSlug says what is wrong with s as a bottle's name in paths, labels and logs.
func ValidSlug(s string) error {
	if !slug(s) {
		return fmt.Errorf("bottle name %q is not valid; wanted lower-case letters, digits and dashes, 63 at most, no dash first", s)
	}
	return nil
}

// slug is the form of a bottle's name. Not a regular expression: every program
// would compile it at its start.
func slug(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// Dir is the folder of one bottle, mode 0700. Its methods name the files in it;
// DESIGN.md has the table of who writes and who reads each.
type Dir string

// At is the folder of the bottle slug below root. The slug is checked, since
// it becomes part of a path; the folder need not exist.
func At(root, slug string) (Dir, error) {
	if err := ValidSlug(slug); err != nil {
		return "", err
	}
	return Dir(filepath.Join(root, slug)), nil
}

// Name is the bottle's slug.
func (d Dir) Name() string { return filepath.Base(string(d)) }

// In is a path in the bottle's folder.
func (d Dir) In(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

func (d Dir) Record() string         { return d.In("bottle.json") }                                // see Record
func (d Dir) Lock() string           { return d.In("lock") }                                       // see Hold
func (d Dir) ApplyLock() string      { return d.In("apply.lock") }                                 // held while a table is changed
func (d Dir) Manifest() string       { return d.In("bottle.yaml") }                                // the manifest as started
func (d Dir) Proxy() string          { return d.In("egress-proxy") }                               // the proxy's own folder
func (d Dir) Routes() string         { return d.In("egress-proxy", "routes.yaml") }                // the table that is served
func (d Dir) Next() string           { return d.In("egress-proxy", "routes.yaml.next") }           // the table that is proposed to the proxy
func (d Dir) Status() string         { return d.In("egress-proxy", "routes.yaml.status") }         // the proxy's answer, see pkg/reload
func (d Dir) CACert() string         { return d.In("egress-proxy", "ca.pem") }                     // the authority's certificate
func (d Dir) CAKey() string          { return d.In("egress-proxy", "ca-key.pem") }                 // the authority's key, 0600
func (d Dir) Tokens() string         { return d.In("egress-proxy", "tokens") }                     // one file per credential, 0400
func (d Dir) AccessLog() string      { return d.In("access.jsonl") }                               // one line per request
func (d Dir) Audit() string          { return d.In("audit.jsonl") }                                // one line per decision, chained
func (d Dir) Queue() string          { return d.In("queue") }                                      // proposals and decisions
func (d Dir) Exec() string           { return d.In("exec.sock") }                                  // where the launcher takes a second command
func (d Dir) Shown() string          { return d.In("shown") }                                      // what the operator has seen
func (d Dir) UpstreamCA() string     { return d.In("egress-proxy", "upstream-ca.pem") }            // what the proxy trusts beside the system's roots
func (d Dir) Placeholders() string   { return d.In("placeholders") }                               // of the workspace, between two runs
func (d Dir) Pipelock() string       { return d.In("pipelock") }                                   // pipelock's own folder, which it watches
func (d Dir) PipelockConfig() string { return d.In("pipelock", "pipelock.yaml") }                  // its configuration; beside it its authority
func (d Dir) PipelockLog() string    { return d.In("pipelock.log") }                               // both streams of pipelock
func (d Dir) Log(part string) string { return d.In(filepath.Base(filepath.Clean(part)) + ".log") } // a part's diagnostics

// Make creates the bottle's folder and the folders in it, and refuses folders
// that somebody else could write to: root may have been given a user's, and
// would follow the links in them.
func (d Dir) Make() error {
	queue := d.Queue()
	return d.make(string(d), d.Proxy(), d.Tokens(), queue, d.In("queue", "pending"), d.In("queue", "decided"), d.Shown(), d.Pipelock(), d.Placeholders())
}

// MakeOperator is Make for a bottle whose parts keep their files elsewhere: what
// the operator's tools need on this machine.
func (d Dir) MakeOperator() error { return d.make(string(d), d.Shown()) }

func (d Dir) make(folders ...string) error {
	for _, p := range folders {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return err
		}
		if err := ours(p); err != nil {
			return err
		}
	}
	return safeParent(filepath.Dir(string(d)))
}

// ours reports whether a folder can be written to by this user alone.
func ours(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: others can write to it (owner %d, mode %04o); wanted a folder of uid %d with mode 0700\nhint: set BOTTLE_DIR to a folder of your own", path, st.Uid, st.Mode&0o7777, os.Geteuid())
	}
	return nil
}

// safeParent reports whether another user could replace the folders in path.
func safeParent(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if int(st.Uid) != os.Geteuid() && st.Uid != 0 || st.Mode&0o002 != 0 && st.Mode&unix.S_ISVTX == 0 {
		return fmt.Errorf("%s: others can write to it (owner %d, mode %04o); wanted a folder of uid %d\nhint: set BOTTLE_DIR to a folder of your own", path, st.Uid, st.Mode&0o7777, os.Geteuid())
	}
	return nil
}

// List returns the slugs of the bottles below root, running or not, sorted. A
// root that does not exist holds none.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var slugs []string
	for _, e := range entries {
		if !e.IsDir() || ValidSlug(e.Name()) != nil {
			continue
		}
		if _, err := os.Lstat(filepath.Join(root, e.Name(), "bottle.json")); err == nil {
			slugs = append(slugs, e.Name())
		}
	}
	return slugs, err
}
