package atomicfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrChanged says that a file is not any more what it was.
var ErrChanged = errors.New("it has changed meanwhile")

// Replace puts next in the place of a file that has the content was, whole or not at
// all, with its mode, and its owner where that takes root. A link stays, and what it
// leads to is replaced. The folder of that is held open and never left: others may
// write there, and put a link in the place of the file, or of a folder before it.
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
	info, err := unchanged(root, base, was)
	if err != nil {
		return err
	}
	temp := "." + base + "." + rand.Text()
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = f.Chown(int(st.Uid), int(st.Gid))
	}
	if err = errors.Join(err, fill(f, next, info.Mode().Perm(), true)); err == nil {
		err = root.Rename(temp, base)
	}
	if err != nil {
		root.Remove(temp)
		return err
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// unchanged looks whether the file has that content still.
func unchanged(root *os.Root, base string, was []byte) (fs.FileInfo, error) {
	info, err := root.Lstat(base)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != int64(len(was)) {
		return nil, ErrChanged
	}
	f, err := root.OpenFile(base, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	is := make([]byte, len(was)+1)
	n, _ := io.ReadFull(f, is)
	if !bytes.Equal(is[:n], was) {
		return nil, ErrChanged
	}
	return f.Stat()
}
