package proposal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// folder is an open directory of the queue. Everything is done relative to its
// descriptor with names of one component and O_NOFOLLOW, so that no symbolic
// link put there, now or between two steps, leads out of it.
type folder struct {
	f    *os.File
	path string // for messages
}

// openFolder opens the directory name in parent, making it with mode 0700 if it
// is missing. A symbolic link is refused.
func openFolder(parent *folder, name string) (*folder, error) {
	path := filepath.Join(parent.path, name)
	err := unix.Mkdirat(parent.fd(), name, 0o700)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
	}
	fd, err := unix.Openat(parent.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return &folder{os.NewFile(uintptr(fd), path), path}, nil
}

func (d *folder) fd() int { return int(d.f.Fd()) }

func (d *folder) fault(op, name string, err error) error {
	return &os.PathError{Op: op, Path: filepath.Join(d.path, name), Err: err}
}

// has reports whether something is called name, without opening it.
func (d *folder) has(name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// size is the size of the file name in bytes, 0 if it is gone.
func (d *folder) size(name string) int64 {
	var st unix.Stat_t
	if unix.Fstatat(d.fd(), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return 0
	}
	return st.Size
}

// read returns the content of the regular file name of at most limit bytes.
// O_NONBLOCK: a FIFO of that name must not hold us up.
func (d *folder) read(name string, limit int64) ([]byte, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fault("open", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, d.fault("read", name, errors.New("not a regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = d.fault("read", name, fmt.Errorf("larger than %d bytes", limit))
	}
	return data, err
}

// write puts data whole into the file name: a new file beside it, synced,
// renamed over it, and the folder synced (rename(2); pkg/atomicfile does the
// same for paths, which here could lead through a link).
func (d *folder) write(name string, data []byte) error {
	tmp := "." + name
	unix.Unlinkat(d.fd(), tmp, 0) // left by a crash; the queue's lock is held
	fd, err := unix.Openat(d.fd(), tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return d.fault("create", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = unix.Renameat(d.fd(), tmp, d.fd(), name)
	}
	if err != nil {
		unix.Unlinkat(d.fd(), tmp, 0)
		return d.fault("write", name, err)
	}
	return d.f.Sync()
}

// remove unlinks the file name; that it is missing is no error.
func (d *folder) remove(name string) error {
	err := unix.Unlinkat(d.fd(), name, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return d.fault("remove", name, err)
	}
	return nil
}

// maxNames bounds how many files of a folder are looked at.
const maxNames = 100_000

// names returns the names of the files in the folder that end in .json, without
// that; files being written start with a dot and are left out.
func (d *folder) names() ([]string, error) {
	// A descriptor of its own: reading a directory moves the offset.
	fd, err := unix.Openat(d.fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fault("open", ".", err)
	}
	f := os.NewFile(uintptr(fd), d.path)
	defer f.Close()
	all, err := f.Readdirnames(maxNames + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(all) > maxNames {
		return nil, d.fault("read", ".", fmt.Errorf("more than %d files", maxNames))
	}
	var names []string
	for _, n := range all {
		if id, ok := strings.CutSuffix(n, ".json"); ok && !strings.HasPrefix(n, ".") {
			names = append(names, id)
		}
	}
	return names, nil
}
