// Package carry takes a workspace into a container as a tar stream, and brings
// back what was changed there. What comes back was written by an agent: it is
// laid beside the host's files first, protected paths and what the host has
// changed meanwhile are held back, and no link is followed on the way.
package carry

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"io/fs"
	"strings"
	"time"
)

// A Snapshot is what was taken along, by slash-separated path.
type Snapshot map[string]Item

// An Item is a file, a folder or a symbolic link.
type Item struct {
	Mode fs.FileMode // type and permissions
	Size int64       // of a file
	Hash string      // of a file: SHA-256 of its bytes
	Link string      // of a symbolic link: where it leads
	seen stamp       // the host's, to know it unchanged
}

// A stamp changes when the host changes a file.
type stamp struct {
	ino          uint64
	size         int64
	mtime, ctime time.Time
}

// same tells items with the same content and permissions.
func (i Item) same(j Item) bool {
	return i.Mode == j.Mode && i.Hash == j.Hash && i.Link == j.Link
}

// Bytes is the sum of the files' sizes.
func (s Snapshot) Bytes() (n int64) {
	for _, i := range s {
		n += i.Size
	}
	return n
}

// Files is the number of all but folders.
func (s Snapshot) Files() (n int) {
	for _, i := range s {
		if !i.Mode.IsDir() {
			n++
		}
	}
	return n
}

// hashing hashes what it passes on.
type hashing struct {
	w   io.Writer
	sum hash.Hash
}

func newHashing(w io.Writer) *hashing { return &hashing{w, sha256.New()} }

func (h *hashing) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.sum.Write(p[:n])
	return n, err
}

func (h *hashing) hex() string { return hex.EncodeToString(h.sum.Sum(nil)) }

// within reports whether path is dir or lies below it. Case is not told apart:
// some file systems do not.
func within(path, dir string) bool {
	path, dir = folded(path), folded(dir)
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// folded is s without case. The upper case comes first: two small letters may
// have one capital, as the long s and s.
func folded(s string) string { return strings.ToLower(strings.ToUpper(s)) }
