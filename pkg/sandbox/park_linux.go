package sandbox

import (
	"errors"
	"io"
	"os"
	"strconv"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// A park keeps a bottle's placeholders from one run to the next. A folder that is
// removed and made again takes a new inode each time, and ext4 passes over all that
// were freed in the last minutes to find one: with twenty of them that takes longer
// than the rest of the start. Moved, they stay what they are.
type park struct {
	dir   *os.File
	names []string // that are there
}

// parkMax is more than there are placeholders.
const parkMax = 64

// openPark opens the folder at path, which is the operator's alone, if placeholders
// can be moved from there to the workspace; else it is nil, which keeps nothing.
func openPark(path string, workspace *os.File) *park {
	if path == "" {
		return nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	p := &park{dir: os.NewFile(uintptr(fd), path)}
	var ours, theirs unix.Stat_t
	if unix.Fstat(fd, &ours) != nil || unix.Fstat(int(workspace.Fd()), &theirs) != nil ||
		ours.Dev != theirs.Dev || int(ours.Uid) != os.Geteuid() || ours.Mode&0o077 != 0 {
		p.dir.Close()
		return nil
	}
	p.names, _ = p.dir.Readdirnames(parkMax)
	return p
}

// parks reports whether a placeholder of that name is always a folder.
func parks(name string) bool { return name != commondir }

// take moves a placeholder from the park to name in parent. It reports whether that
// is done; EEXIST says that there is something of the name.
func (p *park) take(parent int, name string) (bool, error) {
	if p == nil {
		return false, nil
	}
	for len(p.names) > 0 {
		from := p.names[0]
		p.names = p.names[1:]
		st, err := beneath.Lstat(int(p.dir.Fd()), from)
		if err != nil || !isPlaceholder(st) || st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() {
			continue
		}
		err = unix.Renameat2(int(p.dir.Fd()), from, parent, name, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EEXIST) {
			p.names = append(p.names, from)
			return false, err
		}
		if err != nil {
			return false, nil
		}
		return true, setMode(parent, name, placeholderMode)
	}
	return false, nil
}

// setMode gives the placeholder name in parent its mode; what the host has put in its
// place meanwhile keeps its own.
func setMode(parent int, name string, mode uint32) error {
	if st, err := beneath.Lstat(parent, name); err == nil && st.Mode == unix.S_IFDIR|mode {
		return nil
	}
	fd, err := beneath.Open(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || !isPlaceholder(st) {
		return err
	}
	return unix.Fchmod(fd, mode)
}

// keep moves the placeholder name in parent to the park. It reports whether that is
// done; what is not can be removed. One with something in it is not moved, and comes
// back if that happened meanwhile.
func (p *park) keep(parent int, name string) bool {
	if p == nil || len(p.names) >= parkMax || !empty(parent, name) {
		return false
	}
	// To move a folder takes the right to write in it, if one is not root.
	if os.Geteuid() != 0 && setMode(parent, name, movingMode) != nil {
		return false
	}
	dir := int(p.dir.Fd())
	for i := len(p.names); i < 2*parkMax; i++ {
		to := strconv.Itoa(i)
		err := unix.Renameat2(parent, name, dir, to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return false
		}
		if !empty(dir, to) {
			p.giveBack(to, parent, name)
			return true
		}
		p.names = append(p.names, to)
		return true
	}
	return false
}

// giveBack undoes a keep. What cannot go back stays, and is no placeholder any more.
func (p *park) giveBack(from string, parent int, name string) {
	if unix.Renameat2(int(p.dir.Fd()), from, parent, name, unix.RENAME_NOREPLACE) != nil {
		setMode(int(p.dir.Fd()), from, 0o700)
	}
}

// empty reports whether the folder has nothing in it.
func empty(parent int, name string) bool {
	fd, err := beneath.Open(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(1)
	return len(names) == 0 && err == io.EOF
}

func (p *park) close() {
	if p != nil {
		p.dir.Close()
	}
}
