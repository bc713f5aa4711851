package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// A mount lies on a file, not on its name. When a program outside removes the file,
// or renames another one over it, as most editors and git do to write it, the kernel
// takes the mount away everywhere: what is there then, the agent reads and writes.

// A mark tells a file from a later one of the same name, also of the same number.
type mark struct {
	id   fileID
	born unix.StatxTimestamp
	told bool // Loss.Told
}

// mark remembers what is covered and masked.
func (w *Workspace) mark() error {
	w.marks = map[string]mark{}
	for _, rel := range slices.Concat(w.covered, w.masked) {
		m, err := w.markOf(rel)
		if err != nil {
			return fmt.Errorf("workspace %s: %s: %w", w.Path, plainly(rel), err)
		}
		m.told = slices.Contains(protectedIfThere, rel) && !slices.Contains(w.masked, rel)
		w.marks[rel] = m
	}
	return nil
}

func (w *Workspace) markOf(rel string) (m mark, err error) {
	dir, err := beneath.Open(int(w.dir.Fd()), filepath.Dir(rel), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return m, err
	}
	defer unix.Close(dir)
	var st unix.Statx_t
	if err := unix.Statx(dir, filepath.Base(rel), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return m, err
	}
	m.id = fileID{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		m.born = st.Btime
	}
	return m, nil
}

const (
	// lookAgain is how often the files are looked at where no watch is to be had.
	lookAgain = time.Second
	// Between two looks pass lookPause and lookShare times what one takes: the
	// agent's own files beside them wake us as well.
	lookPause = 5 * time.Millisecond
	lookShare = 20
)

// Watch tells of each path that is covered or masked, and was replaced or removed
// since OpenWorkspace. Call stop before Close.
func (w *Workspace) Watch() (losses <-chan Loss, stop func()) {
	found, stopped := make(chan Loss, len(w.marks)), make(chan struct{})
	events := w.watchFolders()
	var looking sync.WaitGroup
	looking.Go(func() {
		for w.compare(found, stopped) && await(events, stopped) {
		}
	})
	return found, func() {
		close(stopped)
		if events != nil {
			events.Close()
		}
		looking.Wait()
	}
}

// await returns when something has happened, or might have.
func await(events *os.File, stopped <-chan struct{}) bool {
	if events != nil {
		_, err := events.Read(make([]byte, 64<<10)) // which is all the same: see compare
		return err == nil
	}
	select {
	case <-stopped:
		return false
	case <-time.After(lookAgain):
		return true
	}
}

// compare looks at all of them: events may be many, or too many for the kernel's queue.
func (w *Workspace) compare(found chan<- Loss, stopped <-chan struct{}) bool {
	start := time.Now()
	for rel, was := range w.marks {
		now, err := w.markOf(rel)
		if now.told = was.told; err != nil || now != was {
			delete(w.marks, rel)
			found <- Loss{Path: rel, Told: was.told}
		}
	}
	select {
	case <-stopped:
		return false
	case <-time.After(lookPause + lookShare*time.Since(start)):
		return true
	}
}

// watchFolders is an inotify(7) of all the folders on the way; nil where there is none
// to be had.
func (w *Workspace) watchFolders() *os.File {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "inotify")
	watched := map[string]bool{}
	for rel := range w.marks {
		for dir := filepath.Dir(rel); !watched[dir]; dir = filepath.Dir(dir) {
			watched[dir] = true
			if w.watchFolder(fd, dir) != nil {
				f.Close()
				return nil
			}
		}
	}
	return f
}

func (w *Workspace) watchFolder(fd int, rel string) error {
	dir, err := beneath.Open(int(w.dir.Fd()), rel, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	const what = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO
	_, err = unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", dir), what)
	return err
}
