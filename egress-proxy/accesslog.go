package main

import (
	"io"
	"os"
	"sync"

	"bottle/pkg/proxy"
)

// maxLog is the size at which an access log is moved to FILE.1 and begun anew:
// an agent that is refused in a loop must not fill the disk.
const maxLog = 64 << 20

// openAccessLog is where the access log goes: "-" standard output, "none"
// nowhere, else a file that is appended to.
func openAccessLog(name string, stdout io.Writer) (*proxy.Lines, error) {
	switch name {
	case "none":
		return nil, nil
	case "-":
		return &proxy.Lines{W: stdout}, nil
	}
	f := &logFile{path: name}
	if err := f.open(); err != nil {
		return nil, err
	}
	return &proxy.Lines{W: f}, nil
}

// logFile is a file of bounded size, with one predecessor.
type logFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
}

func (l *logFile) open() error {
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

// Write appends lines. When the file cannot be begun anew the old one goes on.
func (l *logFile) Write(lines []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size+int64(len(lines)) > maxLog && os.Rename(l.path, l.path+".1") == nil {
		old := l.f
		if l.open() == nil {
			old.Close()
		}
	}
	n, err := l.f.Write(lines)
	l.size += int64(n)
	return n, err
}
