package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"bottle/pkg/beneath"
	"bottle/pkg/gitindex"

	"golang.org/x/sys/unix"
)

// A file of credentials in the workspace is masked: the agent finds an empty one in
// its place, that it can neither write, nor remove, nor rename. A regular file and
// not /dev/null, which git and others take for something else.
//
// What git has, with just this content, is shown: it can be read from .git as well,
// and a file that is empty all of a sudden is a change in its eyes. The content
// counts, since the index is the agent's to write: `git add -f .env` makes an empty
// file of that name tracked.

// maxMasks bounds what an agent may have the next bottle mount.
const maxMasks = 1000

// look looks at all that is in the workspace: for sockets, which are refused, and
// for what is to be masked.
func (w *Workspace) look(pol Policy) error {
	l := &looker{w: w, pol: pol, kept: w.inside(pol.Keep)}
	if err := filepath.WalkDir(w.Path, l.visit); err != nil {
		return err
	}
	inGit := w.inGit(l.found)
	for _, f := range l.found {
		switch {
		case inGit[f.rel] && !f.asked:
			if f.sort == secret && f.link == "" {
				w.tracked = append(w.tracked, f.rel)
			}
		case f.link != "":
			return fmt.Errorf("workspace %s: %q is a symbolic link to %q, which an agent could still find if it removed the link; wanted a file\nhint: in the manifest, protect: {mask: [%s]} hides what it leads to, protect: {show: [%s]} shows it",
				w.Path, f.link, f.rel, plainly(f.rel), plainly(f.link))
		default:
			w.masked = append(w.masked, f.rel)
		}
	}
	if len(w.masked) > maxMasks {
		return fmt.Errorf("workspace %s: more than %d files whose names are those of credentials, %q for one; wanted fewer\nhint: in the manifest, protect: {mask: [FOLDER]} hides a folder whole, protect: {show: [FOLDER]} nothing of it", w.Path, maxMasks, w.masked[0])
	}
	slices.Sort(w.masked)
	slices.Sort(w.tracked)
	for _, p := range pol.Mask {
		if !slices.ContainsFunc(w.masked, func(rel string) bool { return chosen([]string{p}, rel) }) {
			w.idle = append(w.idle, p)
		}
	}
	return nil
}

// A looker is one look at a workspace.
type looker struct {
	w       *Workspace
	pol     Policy
	kept    []string // the bottle's own files in it, which are no secret
	entries int
	found   []finding
}

// A finding is a file, or folder, that may have to be masked.
type finding struct {
	rel   string
	sort  sort
	asked bool   // by the operator, whatever it is
	link  string // the symbolic link of such a name that leads to rel, whose name is none
}

func (l *looker) visit(path string, d fs.DirEntry, err error) error {
	if err != nil {
		return l.unreadable(path, err)
	}
	if l.entries++; l.entries > maxEntries {
		return fmt.Errorf("workspace %s: more than %d files, too many to look for sockets and credentials among them; wanted a smaller folder", l.w.Path, maxEntries)
	}
	if path == l.w.Path {
		return nil
	}
	rel := l.w.rel(path)
	if d.Type()&fs.ModeSymlink != 0 {
		return l.link(rel, path)
	}
	f := l.consider(rel, d.IsDir())
	if f.sort == plainFile && !f.asked {
		if d.Type()&fs.ModeSocket != 0 {
			return socketRefusal("workspace", l.w.Path, path)
		}
		return nil
	}
	l.found = append(l.found, f)
	if d.IsDir() {
		return fs.SkipDir // nothing of it is seen inside
	}
	return nil
}

// consider says what rel is as far as it is to be masked.
func (l *looker) consider(rel string, folder bool) finding {
	f := finding{rel: rel, asked: chosen(l.pol.Mask, rel)}
	if !folder && !l.pol.ShowSecrets {
		f.sort = sortOf(rel)
	}
	if f.sort == plainFile && !f.asked {
		return f
	}
	if chosen(l.pol.Show, rel) {
		return finding{rel: rel}
	}
	if !f.asked && (inPublicFolder(rel) || slices.Contains(l.kept, rel) || l.pol.writable(rel)) {
		f.sort = plainFile
	}
	return f
}

// link considers a symbolic link. One that leads out of the workspace leads the agent
// nowhere; what has a name like that itself is found by it.
func (l *looker) link(rel, path string) error {
	// A file may have its name by a folder that is a link: .aws/credentials.
	for name, folders := range secretIn {
		if slices.Contains(folders, strings.ToLower(filepath.Base(rel))) {
			if err := l.link(rel+"/"+name, path+"/"+name); err != nil {
				return err
			}
		}
	}
	f := l.consider(rel, false)
	if f.sort == plainFile && !f.asked {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrPermission) {
		return l.closedLink(path)
	}
	if err != nil || real == l.w.Path || !within(real, l.w.Path) {
		return nil
	}
	to := l.w.rel(real)
	fi, err := os.Lstat(real)
	if err != nil || chosen(l.pol.Show, to) || slices.Contains(l.kept, to) || fi.IsDir() && !f.asked {
		return nil
	}
	if t := l.consider(to, fi.IsDir()); t.sort != plainFile || t.asked {
		return nil
	}
	l.found = append(l.found, finding{rel: to, sort: f.sort, link: rel})
	return nil
}

// closedLink is for a link whose end is not to be seen from here.
func (l *looker) closedLink(path string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(path), to)
	}
	if to = filepath.Clean(to); !within(to, l.w.Path) {
		return nil
	}
	return l.unreadable(to, fs.ErrPermission)
}

// unreadable: what is closed to us is closed to the agent, unless it is the agent's
// to open: an earlier one may have closed it so that nobody looks.
func (l *looker) unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it went while we looked
	}
	for at := path; at != l.w.Path; at = filepath.Dir(at) {
		fi, failed := os.Lstat(at)
		if failed != nil {
			continue // closed further up
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != l.w.owner.UID {
			return nil
		}
		break
	}
	return fmt.Errorf("workspace %s: %q cannot be read, and the agent could make it readable; wanted to see that no socket and no credential is in it (%w)\nhint: chmod u+rwx it", l.w.Path, path, reason(err))
}

// plainly is a name of a stranger's as a line of a message may have it.
func plainly(name string) string {
	if q := strconv.Quote(name); q[1:len(q)-1] != name {
		return q
	}
	return name
}

// rel is path, which lies in the workspace, relative to it.
func (w *Workspace) rel(path string) string {
	return strings.TrimPrefix(path, strings.TrimSuffix(w.Path, "/")+"/")
}

// maxIndex is the size up to which an index is read: of more than a million files.
const maxIndex = 128 << 20

// maxCompared is the size up to which a file is compared with git's.
const maxCompared = 1 << 20

// inGit tells those of the findings whose content, as it is, git has. Whatever
// cannot be read, or is not understood, is not among them.
func (w *Workspace) inGit(found []finding) map[string]bool {
	byRepository := map[string]map[string]string{} // path in the repository -> in the workspace
	for _, f := range found {
		root, ok := w.repositoryOf(f.rel)
		if !ok || f.asked || f.sort == plainFile {
			continue
		}
		if byRepository[root] == nil {
			byRepository[root] = map[string]string{}
		}
		below, err := filepath.Rel(root, f.rel)
		if err == nil {
			byRepository[root][below] = f.rel
		}
	}
	tracked := map[string]bool{}
	for root, files := range byRepository {
		index, err := w.readAll(w.gitDir(root)+"/index", maxIndex)
		if err != nil {
			continue
		}
		gitindex.Entries(index, func(path, hash []byte) {
			rel, ok := files[string(path)]
			if !ok {
				return
			}
			if content, err := w.readAll(rel, maxCompared); err == nil && gitindex.Holds(hash, content) {
				tracked[rel] = true
			}
		})
	}
	return tracked
}

// repositoryOf is the innermost folder above rel that is a repository's.
func (w *Workspace) repositoryOf(rel string) (root string, ok bool) {
	for root = filepath.Dir(rel); ; root = filepath.Dir(root) {
		if st, err := beneath.Lstat(int(w.dir.Fd()), filepath.Join(root, ".git")); err == nil && !isPlaceholder(st) {
			return root, true
		}
		if root == "." {
			return "", false
		}
	}
}

// gitDir is the .git of a repository: a folder, or a file that names one
// (gitrepository-layout(5)). One out of the workspace is of no use in it either.
func (w *Workspace) gitDir(root string) string {
	dir := filepath.Join(root, ".git")
	text, err := w.readAll(dir, 4096)
	to, ok := strings.CutPrefix(strings.TrimRight(string(text), "\n"), "gitdir: ")
	if err != nil || !ok {
		return dir
	}
	return w.from(root, to)
}

// from is the path to, as it is meant in the folder dir, relative to the workspace.
func (w *Workspace) from(dir, to string) string {
	if !filepath.IsAbs(to) {
		return filepath.Join(dir, to)
	}
	rel, err := filepath.Rel(w.Path, to)
	if err != nil {
		return dir // neither is absolute: does not happen
	}
	return rel
}

// readAll reads the file rel of at most limit bytes.
func (w *Workspace) readAll(rel string, limit int64) ([]byte, error) {
	fd, err := beneath.Open(int(w.dir.Fd()), rel, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > limit {
		return nil, fs.ErrInvalid
	}
	data := make([]byte, fi.Size()) // at once: growing into it takes twice as much
	_, err = io.ReadFull(f, data)
	return data, err
}
