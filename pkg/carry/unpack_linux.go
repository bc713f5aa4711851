package carry

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Return is what a container has in place of a snapshot.
type Return struct {
	Changes []Change
	// Left are paths of sockets, pipes and devices, which stay behind.
	Left []string

	stage string
	limit int64
	items Snapshot          // what was in the stream
	bytes map[string]string // of a file's path: where they are staged
}

// Has reports whether the container has something at path.
func (ret *Return) Has(path string) bool {
	_, ok := ret.items[path]
	return ok
}

// A Change is one difference.
type Change struct {
	Path string
	// Item is what is there now; the zero Item for what is gone.
	Item   Item
	Gone   bool
	MTime  time.Time
	staged string // a file's bytes; "" when only its permissions are new
}

// Unpack reads a tar stream of the folder name, and keeps what differs from snap
// below the folder stage. More than limit bytes of it are an error. The stream is
// an agent's: names and types are not trusted.
func Unpack(r io.Reader, name string, snap Snapshot, stage string, limit int64) (*Return, error) {
	ret := &Return{stage: stage, limit: limit, items: Snapshot{}, bytes: map[string]string{}}
	whole := false
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		rel, err := below(h.Name, name)
		if err != nil {
			return nil, err
		}
		if rel == "." {
			whole = h.Typeflag == tar.TypeDir
			continue
		}
		if len(ret.items) >= MaxEntries {
			return nil, fmt.Errorf("more than %d files", MaxEntries)
		}
		if err := ret.take(h, rel, name, tr, snap); err != nil {
			return nil, fmt.Errorf("%q: %w", rel, err)
		}
	}
	if !whole {
		return nil, fmt.Errorf("the stream has no folder %s; wanted the workspace", name) // not: all was removed
	}
	ret.addGone(snap)
	return ret, nil
}

// below is the path of an entry in the folder name.
func below(entry, name string) (string, error) {
	clean := path.Clean(entry)
	if clean == name {
		return ".", nil
	}
	rel, ok := strings.CutPrefix(clean, name+"/")
	// Not fs.ValidPath, which wants UTF-8: a workspace may have other names.
	if !ok || !filepath.IsLocal(rel) || strings.ContainsRune(rel, 0) {
		return "", fmt.Errorf("entry %q; wanted one below %s", entry, name)
	}
	return rel, nil
}

func (ret *Return) take(h *tar.Header, rel, name string, r io.Reader, snap Snapshot) error {
	if _, twice := ret.items[rel]; twice {
		return errors.New("it is there twice")
	}
	c := Change{Path: rel, MTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeDir:
		c.Item = Item{Mode: fs.ModeDir | fs.FileMode(h.Mode).Perm()}
	case tar.TypeSymlink:
		c.Item = Item{Mode: fs.ModeSymlink | 0o777, Link: h.Linkname}
	case tar.TypeReg:
		if err := ret.file(&c, h, r); err != nil {
			return err
		}
	case tar.TypeLink:
		to, err := below(h.Linkname, name)
		if err != nil {
			return err
		}
		target, ok := ret.items[to]
		if !ok || !target.Mode.IsRegular() {
			return fmt.Errorf("a hard link to %q, which is no file", to)
		}
		c.Item, c.staged = target, ret.bytes[to]
	default:
		ret.Left = append(ret.Left, rel)
		return nil
	}
	old, there := snap[rel]
	ret.items[rel] = c.Item
	if c.Item.Mode.IsRegular() {
		ret.bytes[rel] = c.staged
	}
	if there && old.same(c.Item) {
		return nil
	}
	if there && old.Mode.IsRegular() && c.Item.Mode.IsRegular() && old.Hash == c.Item.Hash {
		c.staged = ""
	}
	ret.Changes = append(ret.Changes, c)
	return nil
}

// file reads a file's bytes. Also an unchanged one's are kept: a hard link to it
// may follow.
func (ret *Return) file(c *Change, h *tar.Header, r io.Reader) error {
	if ret.limit -= h.Size; ret.limit < 0 {
		return errors.New("too much to bring back")
	}
	staged := filepath.Join(ret.stage, strconv.Itoa(len(ret.items)))
	f, err := os.OpenFile(staged, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := newHashing(f)
	_, err = io.Copy(sum, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	c.Item = Item{Mode: fs.FileMode(h.Mode).Perm(), Size: h.Size, Hash: sum.hex()}
	c.staged = staged
	return nil
}

// addGone adds what of the snapshot is not there any more, the innermost first.
func (ret *Return) addGone(snap Snapshot) {
	var gone []Change
	left := map[string]bool{}
	for _, l := range ret.Left {
		left[l] = true
	}
	for rel, old := range snap {
		if _, there := ret.items[rel]; !there && !left[rel] {
			gone = append(gone, Change{Path: rel, Item: old, Gone: true})
		}
	}
	slices.SortFunc(gone, func(a, b Change) int { return cmp.Compare(b.Path, a.Path) })
	ret.Changes = append(gone, ret.Changes...)
}
