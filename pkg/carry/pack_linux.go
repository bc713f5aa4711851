package carry

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// MaxEntries bounds a workspace.
const MaxEntries = 4 << 20

// A Folder is a host's workspace.
type Folder struct{ f *os.File }

// OpenFolder opens path, whose last part must not be a link.
func OpenFolder(path string) (*Folder, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Folder{os.NewFile(uintptr(fd), path)}, nil
}

// Close lets go of the folder.
func (d *Folder) Close() { d.f.Close() }

func (d *Folder) fd() int { return int(d.f.Fd()) }

// Pack writes the folder as a tar stream below name, every file owned by uid and
// gid, and says what was written. Sockets, pipes and devices are an error; links
// stay links. Of the paths masked the files and folders are written empty.
func (d *Folder) Pack(out io.Writer, name string, uid, gid int, masked ...string) (Snapshot, error) {
	p := &packer{d: d, w: tar.NewWriter(out), name: name, uid: uid, gid: gid, snap: Snapshot{}, masked: map[string]bool{}}
	for _, rel := range masked {
		p.masked[rel] = true
	}
	if err := p.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, Uid: uid, Gid: gid, ModTime: time.Now()}); err != nil {
		return nil, err
	}
	if err := p.folder("."); err != nil {
		return nil, err
	}
	return p.snap, p.w.Close()
}

type packer struct {
	d        *Folder
	w        *tar.Writer
	name     string
	uid, gid int
	snap     Snapshot
	masked   map[string]bool
}

func (p *packer) folder(rel string) error {
	fd, err := beneath.Open(p.d.fd(), rel, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return &fs.PathError{Op: "open", Path: rel, Err: err}
	}
	f := os.NewFile(uintptr(fd), rel)
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := p.entry(path.Join(rel, n)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) entry(rel string) error {
	if len(p.snap) >= MaxEntries {
		return fmt.Errorf("more than %d files; wanted a smaller workspace", MaxEntries)
	}
	st, err := beneath.Lstat(p.d.fd(), rel)
	if errors.Is(err, unix.ENOENT) {
		return nil // it went while we looked
	}
	if err != nil {
		return &fs.PathError{Op: "lstat", Path: rel, Err: err}
	}
	item := itemOf(st)
	h := &tar.Header{Name: path.Join(p.name, rel), Mode: int64(item.Mode.Perm()), Uid: p.uid, Gid: p.gid, ModTime: item.seen.mtime, Format: tar.FormatPAX}
	switch item.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		p.snap[rel] = item
		if err := p.w.WriteHeader(h); err != nil {
			return err
		}
		if p.masked[rel] {
			return nil
		}
		return p.folder(rel)
	case fs.ModeSymlink:
		if item.Link, err = readLink(p.d.fd(), rel); err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, item.Link
		p.snap[rel] = item
		return p.w.WriteHeader(h)
	case 0:
		if p.masked[rel] {
			return p.empty(rel, h, item)
		}
		return p.file(rel, h)
	}
	return fmt.Errorf("%q is a socket, a pipe or a device; wanted files, folders and links", rel)
}

// empty writes a file without what is in it.
func (p *packer) empty(rel string, h *tar.Header, item Item) error {
	h.Typeflag = tar.TypeReg
	item.Size, item.Hash = 0, newHashing(io.Discard).hex()
	p.snap[rel] = item
	return p.w.WriteHeader(h)
}

func (p *packer) file(rel string, h *tar.Header) error {
	fd, err := beneath.Open(p.d.fd(), rel, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return &fs.PathError{Op: "open", Path: rel, Err: err}
	}
	f := os.NewFile(uintptr(fd), rel)
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	item := itemOf(st)
	h.Typeflag, h.Size, h.Mode = tar.TypeReg, item.Size, int64(item.Mode.Perm())
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	sum := newHashing(p.w)
	if n, err := io.Copy(sum, io.LimitReader(f, item.Size)); err != nil {
		return err
	} else if n != item.Size {
		return fmt.Errorf("%q became shorter while it was read; try again", rel)
	}
	item.Hash = sum.hex()
	p.snap[rel] = item
	return nil
}

func itemOf(st unix.Stat_t) Item {
	i := Item{Mode: fs.FileMode(st.Mode & 0o777), seen: stampOf(st)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		i.Mode |= fs.ModeDir
	case unix.S_IFLNK:
		i.Mode = fs.ModeSymlink | 0o777
	case unix.S_IFREG:
		i.Size = st.Size
	default:
		i.Mode |= fs.ModeIrregular
	}
	return i
}

func stampOf(st unix.Stat_t) stamp {
	return stamp{st.Ino, st.Size, time.Unix(st.Mtim.Unix()), time.Unix(st.Ctim.Unix())}
}

func readLink(dir int, rel string) (string, error) {
	parent, err := beneath.Open(dir, path.Dir(rel), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer unix.Close(parent)
	buf := make([]byte, 4096) // PATH_MAX
	n, err := unix.Readlinkat(parent, path.Base(rel), buf)
	if err != nil || n == len(buf) {
		return "", fmt.Errorf("link %q: %w", rel, errors.Join(err, fs.ErrInvalid))
	}
	return string(buf[:n]), nil
}
