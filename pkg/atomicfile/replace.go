package atomicfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrChanged says that a file is not any more what it was.
var ErrChanged = errors.New("it has changed meanwhile")

// Replace writes next into a file that has the content was, and not another file in its
// place: a bottle's mount may lie on it, which the kernel takes away with what it lies
// on. All of next is in a new file beside it by then, on disk, where a kill or a power
// cut leaves it. A link stays, and what it leads to is written. The folder of that is
// held open and never left: others may write there, and put a link in the place of the
// file, or of a folder before it.
func Replace(path string, was, next []byte) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return err
	}
	defer root.Close()
	base := filepath.Base(real)
	f, err := unchanged(root, base, was)
	if err != nil {
		return err
	}
	defer f.Close()
	temp := "." + base + "." + rand.Text()
	saved, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := fill(saved, next, 0o600, true); err != nil {
		root.Remove(temp)
		return err
	}
	if err := overwrite(f, next); err != nil {
		return fmt.Errorf("%w\nhint: what %s was to hold is in %s beside it", err, base, temp)
	}
	return root.Remove(temp)
}

func overwrite(f *os.File, data []byte) error {
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.Sync()
}

// unchanged opens the file if it has that content still.
func unchanged(root *os.Root, base string, was []byte) (*os.File, error) {
	info, err := root.Lstat(base)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != int64(len(was)) {
		return nil, ErrChanged
	}
	f, err := root.OpenFile(base, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	is := make([]byte, len(was)+1)
	n, _ := io.ReadFull(f, is)
	if now, err := f.Stat(); err != nil || !os.SameFile(now, info) || !bytes.Equal(is[:n], was) {
		f.Close()
		return nil, ErrChanged
	}
	return f, nil
}
