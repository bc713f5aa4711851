package accesslog

import (
	"os"
	"sync"
)

// maxFile is the size at which a file is moved to FILE.1 and begun anew: an agent
// that is refused in a loop must not fill the disk.
const maxFile = 64 << 20

// A File is an access log, or another log of lines, of bounded size, with one
// predecessor, FILE.1.
type File struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
	torn bool // the last write ended within a line
}

// OpenFile opens the file to append to it, and makes it with mode 0600.
func OpenFile(path string) (*File, error) {
	l := &File{path: path}
	return l, l.open()
}

func (l *File) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, fi.Size()
	return nil
}

// Write appends lines, or parts of them: a file ends with a whole one. When it
// cannot be begun anew the old one goes on.
func (l *File) Write(lines []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Who writes no line's end, as an agent's output may, has twice that.
	size := l.size + int64(len(lines))
	if (size > maxFile && !l.torn || size > 2*maxFile) && os.Rename(l.path, l.path+".1") == nil {
		old := l.f
		if l.open() == nil {
			old.Close()
		}
	}
	n, err := l.f.Write(lines)
	l.size += int64(n)
	l.torn = n > 0 && lines[n-1] != '\n'
	return n, err
}
