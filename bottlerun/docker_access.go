package main

import (
	"os"
	"sync"
)

// An accessFile keeps egress-proxy's log of requests, which its container prints,
// where the local backend has it.
type accessFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
}

// accessMax is the size at which the file becomes PATH.1.
const accessMax = 64 << 20

func openAccess(path string) (*accessFile, error) {
	a := &accessFile{path: path}
	return a, a.open()
}

func (a *accessFile) open() error {
	f, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	a.f, a.size = f, fi.Size()
	return nil
}

// Write appends. What cannot be written is dropped: the engine has it as well.
func (a *accessFile) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.f == nil {
		return len(p), nil
	}
	a.f.Write(p)
	if a.size += int64(len(p)); a.size >= accessMax && p[len(p)-1] == '\n' {
		a.f.Close()
		os.Rename(a.path, a.path+".1")
		if a.open() != nil {
			a.f = nil
		}
	}
	return len(p), nil
}
