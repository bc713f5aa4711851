// Package gitindex reads git's index: what a repository tracks, and with what
// content. It runs no git, which obeys settings of the repository, and these may be
// an agent's (core.fsmonitor is a program to run). Nor is the index trusted: a
// caller compares the hash of what it has itself.
package gitindex

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

var errShort = errors.New("git index: it ends within an entry")

// Entries calls each with every path and the hash of the content that git has for
// it, both valid during the call. The index is of version 2, 3 or 4, of a
// repository with SHA-1 or SHA-256 (gitformat-index(5)).
func Entries(data []byte, each func(path, hash []byte)) error {
	// The index does not say which hash it has. Read with the wrong one, entries do
	// not end where they should.
	err := entries(data, sha1.Size, func(_, _ []byte) {})
	if err == nil {
		return entries(data, sha1.Size, each)
	}
	if entries(data, sha256.Size, func(_, _ []byte) {}) == nil {
		return entries(data, sha256.Size, each)
	}
	return err
}

// Lengths of an entry's parts.
const (
	statSize = 40 // times, device, mode, owner, size
	extended = 0x4000
	longName = 0xfff
)

// maxName is the longest path that a system call takes (PATH_MAX, with its NUL).
const maxName = 4095

func entries(data []byte, hash int, each func(path, hash []byte)) error {
	if len(data) < 12+hash || string(data[:4]) != "DIRC" {
		return errors.New("git index: it has no header")
	}
	version, count := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	if version < 2 || version > 4 {
		return fmt.Errorf("git index: version %d; wanted 2 to 4", version)
	}
	rest := data[12 : len(data)-hash] // a checksum ends it
	var name []byte
	for range count {
		e := rest
		fixed := statSize + hash + 2
		if len(e) < fixed {
			return errShort
		}
		flags := binary.BigEndian.Uint16(e[fixed-2:])
		if flags&extended != 0 {
			fixed += 2
		}
		if len(e) < fixed {
			return errShort
		}
		var used int
		var err error
		if version == 4 {
			name, used, err = packedName(name, e[fixed:])
		} else {
			name, used, err = paddedName(e[fixed:], fixed)
		}
		if err != nil {
			return err
		}
		if n := int(flags & longName); n < longName && n != len(name) {
			return errors.New("git index: a name of another length")
		}
		if len(name) > maxName {
			return errors.New("git index: a name longer than a path can be")
		}
		each(name, e[statSize:statSize+hash])
		rest = e[fixed+used:]
	}
	return nil
}

// paddedName is a name that ends in NULs, up to a multiple of eight bytes of the
// entry, whose part before is fixed long.
func paddedName(b []byte, fixed int) (name []byte, used int, err error) {
	n := bytes.IndexByte(b, 0)
	if n < 0 {
		return nil, 0, errShort
	}
	used = (fixed+n+8)/8*8 - fixed
	if used > len(b) {
		return nil, 0, errShort
	}
	if len(bytes.Trim(b[n:used], "\x00")) > 0 {
		return nil, 0, errors.New("git index: a name has no end")
	}
	return b[:n], used, nil
}

// packedName is a name of version 4: how many bytes of the one before go, in the
// coding of pack offsets, and what comes instead.
func packedName(before, b []byte) (name []byte, used int, err error) {
	cut := 0
	for {
		if used >= len(b) || used > 4 {
			return nil, 0, errShort
		}
		c := b[used]
		used++
		cut = cut<<7 | int(c&0x7f)
		if c&0x80 == 0 {
			break
		}
		cut++
	}
	n := bytes.IndexByte(b[used:], 0)
	if n < 0 || cut > len(before) {
		return nil, 0, errShort
	}
	return append(before[:len(before)-cut], b[used:used+n]...), used + n + 1, nil
}

// Holds reports whether hash, of an entry, is that of content.
func Holds(hash, content []byte) bool {
	blob := append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)
	if len(hash) == sha256.Size {
		sum := sha256.Sum256(blob)
		return bytes.Equal(hash, sum[:])
	}
	sum := sha1.Sum(blob)
	return bytes.Equal(hash, sum[:])
}
