package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is a file, or a folder when Mode.IsDir. The tar header carries owner and
// mode, so that neither the umask nor the user on this side matters.
type Entry struct {
	Name     string // relative, with slashes
	Mode     fs.FileMode
	UID, GID int
	Data     []byte
}

// CopyIn puts entries into the folder dir of a container, which must be there;
// folders among the entries come before what is in them. It is not atomic: a
// reader may find a file missing or cut (docker cp removes, makes, writes).
func (e *Engine) CopyIn(ctx context.Context, container, dir string, entries ...Entry) error {
	if err := validPlace(container, dir); err != nil {
		return err
	}
	archive, err := pack(entries)
	if err != nil {
		return err
	}
	args := []string{"cp", "-", container + ":" + dir}
	if e.Podman() {
		args = slices.Insert(args, 1, "--archive=false") // else all is the container's user's
	}
	_, err = e.Output(ctx, bytes.NewReader(archive), args...)
	if errors.Is(err, fs.ErrNotExist) {
		// The CLI says the same of a missing container and of a missing folder.
		if _, gone := e.Inspect(ctx, container); gone != nil {
			return gone
		}
	}
	return err
}

func pack(entries []Entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, en := range entries {
		if !fs.ValidPath(en.Name) || en.Name == "." || strings.ContainsRune(en.Name, 0) {
			return nil, fmt.Errorf("copy of %q: wanted a relative path without dots", en.Name)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: en.Name, Mode: int64(en.Mode.Perm()), Uid: en.UID, Gid: en.GID, Size: int64(len(en.Data)), ModTime: time.Now()}
		switch en.Mode.Type() {
		case 0:
		case fs.ModeDir:
			h.Typeflag, h.Name, h.Size = tar.TypeDir, en.Name+"/", 0
		default:
			return nil, fmt.Errorf("copy of %q: %v; wanted a file or a folder", en.Name, en.Mode.Type())
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Size == 0 {
			continue
		}
		if _, err := w.Write(en.Data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// maxEntries bounds a copy out beside its bytes.
const maxEntries = 100_000

// CopyOut returns the file, or the folder with all that is in it, at an absolute
// path of a container, running or not. Names begin with the path's last element.
// It refuses links and all that is neither file nor folder, since whoever writes
// there would choose what they mean, and more than limit bytes together. (Podman
// follows a link within the container, of which one to another name is refused, and
// says of all that it is the container's user's.) What is
// not there is fs.ErrNotExist.
func (e *Engine) CopyOut(ctx context.Context, container, file string, limit int64) ([]Entry, error) {
	if err := validPlace(container, file); err != nil {
		return nil, err
	}
	var entries []Entry
	err := e.stream(ctx, nil, func(r io.Reader) (err error) {
		if entries, err = unpack(r, path.Base(file), limit); err != nil {
			return fmt.Errorf("%s:%s: %w", container, file, err)
		}
		// The end of the archive is not the end of the stream.
		_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		return err
	}, "cp", container+":"+file, "-")
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 || entries[0].Name != path.Base(file) {
		return nil, fmt.Errorf("%s:%s is a link, or the engine sent something else; wanted files and folders", container, file)
	}
	return entries, nil
}

// unpack reads an archive of base and what is in it.
func unpack(r io.Reader, base string, limit int64) ([]Entry, error) {
	var entries []Entry
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean(h.Name)
		if path.IsAbs(name) {
			name = path.Join(base, name) // as podman sends a volume's root
		}
		en := Entry{Name: name, Mode: fs.FileMode(h.Mode).Perm(), UID: h.Uid, GID: h.Gid}
		switch h.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir:
			en.Mode |= fs.ModeDir
		default:
			return nil, fmt.Errorf("%q is a link or a special file; wanted files and folders", h.Name)
		}
		if limit -= h.Size; limit < 0 || len(entries) == maxEntries {
			return nil, fmt.Errorf("%q: too large", h.Name)
		}
		if !fs.ValidPath(en.Name) {
			return nil, fmt.Errorf("%q in an archive; wanted a relative path", h.Name)
		}
		if en.Data, err = io.ReadAll(tr); err != nil {
			return nil, err
		}
		entries = append(entries, en)
	}
}

// File is CopyOut of one file: its bytes.
func (e *Engine) File(ctx context.Context, container, file string, limit int64) ([]byte, error) {
	entries, err := e.CopyOut(ctx, container, file, limit)
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 || !entries[0].Mode.IsRegular() {
		return nil, fmt.Errorf("%s:%s: a folder; wanted a file", container, file)
	}
	return entries[0].Data, nil
}

// errEnough ends a copy of which the beginning is all that was wanted.
var errEnough = errors.New("enough")

// Kind is the type of what is at a path of a container: a link is one, but for
// podman, which follows it. What is not there is fs.ErrNotExist.
func (e *Engine) Kind(ctx context.Context, container, file string) (kind fs.FileMode, err error) {
	if err := validPlace(container, file); err != nil {
		return 0, err
	}
	err = e.stream(ctx, nil, func(r io.Reader) error {
		h, err := tar.NewReader(r).Next()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		kind = h.FileInfo().Mode().Type()
		return errEnough
	}, "cp", container+":"+file, "-")
	if errors.Is(err, errEnough) {
		err = nil
	}
	return kind, err
}
