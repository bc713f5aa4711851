package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"bottle/pkg/beneath"

	"golang.org/x/sys/unix"
)

// guard covers anew what loses its cover while the agent runs (again_linux.go).
// For the moment between, some hundred microseconds, the path is the agent's: so
// each that was replaced is named at the end. What cannot be covered ends the
// sandbox.
type guard struct {
	w       *Workspace
	again   *again
	watch   *os.File       // inotify(7)
	folders map[int]string // of a watch
	names   map[string]bool
	over    chan struct{}

	mu       sync.Mutex
	replaced []string
	fault    error
}

// startGuard watches over the sandbox of process pid, before the agent is let go;
// lost is called if that fails later.
func startGuard(pid int, w *Workspace, lost func()) (*guard, error) {
	a, err := newAgain(pid, w)
	if err != nil {
		return nil, err
	}
	g := &guard{w: w, again: a, folders: map[int]string{}, names: map[string]bool{}, over: make(chan struct{})}
	for _, rel := range slices.Concat(w.covered, w.masked) {
		g.names[rel] = true
		for _, dir := range above(rel) {
			g.names[dir] = true
		}
	}
	a.look() // what is there before the agent is
	go func() {
		err := g.poll(closely, early)
		if err == nil {
			err = g.follow()
		}
		if err = g.unlessOver(err); err != nil {
			g.fail(err)
			lost()
		}
	}()
	return g, nil
}

// A bottle is looked after closely at first, and by inotify only if it lasts: to
// close one takes the kernel 14 ms, half of all that a short command takes.
const (
	early   = time.Second
	closely = 2 * time.Millisecond
	rarely  = time.Second // where there is no more inotify to be had
)

// follow covers again what inotify tells of, until the end.
func (g *guard) follow() error {
	if !g.open() {
		return g.poll(rarely, 0)
	}
	g.look()
	if err := g.cover(); err != nil { // what was replaced just before
		return err
	}
	return g.read()
}

// open opens the watch, unless all is over.
func (g *guard) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unlessOver(unix.EINTR) == nil {
		return false
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		g.watch = os.NewFile(uintptr(fd), "inotify")
	}
	return err == nil
}

// stop may be called again.
func (g *guard) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unlessOver(unix.EINTR) == nil {
		return
	}
	close(g.over)
	if g.watch != nil {
		g.watch.Close()
	}
	g.again.close()
}

// look watches every folder in which one of the names is; those that are there
// anew, too.
func (g *guard) look() {
	if g.watch == nil {
		return
	}
	for rel := range g.names {
		dir := filepath.Dir(rel)
		fd, err := beneath.Open(int(g.w.dir.Fd()), dir, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		const what = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE
		if wd, err := unix.InotifyAddWatch(int(g.watch.Fd()), "/proc/self/fd/"+strconv.Itoa(fd), what); err == nil {
			g.folders[wd] = dir
		}
		unix.Close(fd)
	}
}

// read covers again at each event that is one of the names'. The agent itself can
// cause none: they are mount points.
func (g *guard) read() error {
	buf := make([]byte, 64<<10)
	for {
		n, err := g.watch.Read(buf)
		if err != nil {
			return err
		}
		hit := false
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			at += unix.SizeofInotifyEvent
			name := strings.TrimRight(string(buf[at:at+int(e.Len)]), "\x00")
			at += int(e.Len)
			rel := filepath.Join(g.folders[int(e.Wd)], name)
			if g.names[rel] {
				g.note(rel)
			}
			hit = hit || g.names[rel] || e.Mask&unix.IN_Q_OVERFLOW != 0
		}
		if !hit {
			continue
		}
		if err := g.cover(); err != nil {
			return err
		}
		g.look()
	}
}

// poll looks every so often, for as long as is said; 0 is until the end.
func (g *guard) poll(every, long time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var late <-chan time.Time
	if long > 0 {
		late = time.After(long)
	}
	for {
		if err := g.cover(); err != nil {
			return err
		}
		select {
		case <-g.over:
			return nil
		case <-late:
			return nil
		case <-tick.C:
		}
	}
}

// unlessOver is err while the sandbox runs.
func (g *guard) unlessOver(err error) error {
	select {
	case <-g.over:
		return nil
	default:
		return err
	}
}

func (g *guard) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = err
}

func (g *guard) note(rel string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noted(rel)
}

// noted is note with the lock held.
func (g *guard) noted(rel string) {
	if !slices.Contains(g.replaced, rel) {
		g.replaced = append(g.replaced, rel)
	}
}

// cover makes the placeholders that are gone, and covers all that is not.
func (g *guard) cover() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unlessOver(unix.EINTR) == nil {
		return nil
	}
	for _, rel := range g.w.placed {
		if _, err := beneath.Lstat(int(g.w.dir.Fd()), rel); errors.Is(err, unix.ENOENT) {
			g.w.placeAgain(rel)
		}
	}
	bare := g.changes()
	if !bare {
		return nil
	}
	_, err := g.again.cover()
	g.changes() // also of what was covered although it was replaced but now
	return err
}

// changes notes what has changed, and reports whether something is not covered.
func (g *guard) changes() bool {
	changed, bare := g.again.look()
	for _, rel := range changed {
		g.noted(rel)
	}
	return bare
}

// lost is ErrLost, with what the guard knows of it.
func (sb *Sandbox) lost() error {
	if sb.guard == nil {
		return ErrLost
	}
	sb.guard.mu.Lock()
	defer sb.guard.mu.Unlock()
	if sb.guard.fault == nil {
		return ErrLost
	}
	return fmt.Errorf("%w: %w", ErrLost, sb.guard.fault)
}

// Replaced are the protected and masked paths that the host has replaced or
// removed while the agent ran, which for a moment could reach them. It is asked
// before the workspace is closed.
func (sb *Sandbox) Replaced() (list []string) {
	if sb.guard == nil {
		return nil
	}
	sb.guard.mu.Lock()
	defer sb.guard.mu.Unlock()
	for _, rel := range sb.guard.replaced {
		if st, err := beneath.Lstat(int(sb.w.dir.Fd()), rel); err != nil || !isPlaceholder(st) {
			list = append(list, rel)
		}
	}
	return list
}
