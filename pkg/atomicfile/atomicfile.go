// Package atomicfile writes a file whole or not at all.
package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data into the file path with exactly the permission bits of mode,
// whatever the umask. The bytes go to a new file in the same folder, are synced
// to disk, and the file is renamed over path, so that a reader sees the old
// content or the new one and never a part (rename(2) is atomic within one file
// system). On an error path is as it was and no temporary file is left.
func Write(path string, data []byte, mode fs.FileMode) error { return write(path, data, mode, true) }

// Swap is Write for what means nothing after a power cut, such as which
// processes run: nothing is synced, and a power cut may leave the file empty.
func Swap(path string, data []byte, mode fs.FileMode) error { return write(path, data, mode, false) }

func write(path string, data []byte, mode fs.FileMode, sync bool) error {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".*")
	if err != nil {
		return err
	}
	if err := fill(f, data, mode, sync); err != nil {
		os.Remove(f.Name())
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return err
	}
	if !sync {
		return nil
	}
	return syncDir(dir)
}

// fill writes data to f, gives it mode, and closes it, with sync once its bytes are on disk.
func fill(f *os.File, data []byte, mode fs.FileMode, sync bool) error {
	if !sync {
		reserve(f, len(data))
	}
	_, err := f.Write(data)
	if err == nil {
		// Chmod rather than OpenFile's mode, which the umask would narrow.
		err = f.Chmod(mode)
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// syncDir makes the rename itself survive a power cut (fsync(2): the file's
// own sync does not cover its directory entry).
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
