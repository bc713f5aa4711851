package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bottle/pkg/state"

	"golang.org/x/sys/unix"
)

// doctorPrefix begins the name of the folder that one doctor has for its bottle.
const doctorPrefix = "bottle-doctor-"

// doctorState is the folder in it that has the bottle's state.
const doctorState = "state"

// young is how old such a folder may be without a launcher that holds its bottle:
// it is made a moment before that.
const young = time.Minute

// doctorsLeft are the folders of doctors of this user that were killed.
func doctorsLeft() (list []string, err error) {
	temp := os.TempDir()
	entries, err := os.ReadDir(temp)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(temp, e.Name())
		var st unix.Stat_t
		if !strings.HasPrefix(e.Name(), doctorPrefix) || unix.Lstat(path, &st) != nil {
			continue
		}
		old := time.Since(time.Unix(st.Mtim.Unix())) > young
		if st.Mode&unix.S_IFMT == unix.S_IFDIR && int(st.Uid) == os.Geteuid() && (old || boxed(path)) && !held(path) {
			list = append(list, path)
		}
	}
	return list, nil
}

// boxed reports whether there is a bottle in the folder already.
func boxed(folder string) bool {
	slugs, err := state.List(filepath.Join(folder, doctorState))
	return err == nil && len(slugs) > 0
}

// held reports whether the bottle in the folder runs, or starts: the lock is there
// long before the record where an image is built first.
func held(folder string) bool {
	root := filepath.Join(folder, doctorState)
	entries, err := os.ReadDir(root)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	for _, e := range entries {
		if dir, err := state.At(root, e.Name()); err == nil && dir.Running() {
			return true
		}
	}
	return false
}
