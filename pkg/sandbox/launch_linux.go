package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// launch is the way from a Config to a running _init.
type launch struct {
	id     identity
	ctl    *wire
	cmd    *exec.Cmd
	done   <-chan error // cmd has ended
	extra  []*os.File   // inherited by _init from firstFd on
	theirs []*os.File   // the agent's ends of the streams, which the streams own
}

// stageEnv is the stages' environment: nothing of the operator's. They do one thing
// at a time, and a second processor would but be another thread. Tests put the race
// detector's options there.
var stageEnv = []string{"GOMAXPROCS=1"}

// clone starts _init with s. Its standard streams are the launch's theirs, or
// /dev/null.
func (l *launch) clone(s spec) error {
	ctl, theirs, err := newWires()
	if err != nil {
		return err
	}
	l.ctl = ctl
	defer theirs.Close()
	f, err := specFile(s)
	if err != nil {
		return err
	}
	defer f.Close()
	exe, closeExe, err := ownProgram(l.id)
	if err != nil {
		return err
	}
	defer closeExe()
	// What this process inherited without close-on-exec would be the agent's
	// too: a terminal, a docker or ssh-agent connection (B2).
	if err := unix.CloseRange(3, ^uint(0)>>1&0xffffffff, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	l.cmd = &exec.Cmd{
		Path: exe, Args: []string{"bottle", stageInit}, Env: stageEnv, Dir: "/",
		ExtraFiles:  append([]*os.File{theirs, f}, l.extra...),
		SysProcAttr: l.id.cloneAttr(),
	}
	if len(l.theirs) == 3 {
		l.cmd.Stdin, l.cmd.Stdout, l.cmd.Stderr = l.theirs[0], l.theirs[1], l.theirs[2]
	}
	l.done, err = StartTied(l.cmd)
	return err
}

// ownProgram is the path to execute our own file by. When that is closed to the
// agent's identity (root's, 0700) it is a copy in memory.
func ownProgram(id identity) (path string, done func(), err error) {
	const self = "/proc/self/exe"
	var st unix.Stat_t
	if err := unix.Stat(self, &st); err != nil {
		return "", nil, err
	}
	if !id.Root || st.Mode&0o001 != 0 {
		return self, func() {}, nil
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return "", nil, err
	}
	f, err := memfile("bottlerun", data)
	if err != nil {
		return "", nil, err
	}
	if err := f.Chmod(0o755); err != nil {
		f.Close()
		return "", nil, err
	}
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())), func() { f.Close() }, nil
}

func (l *launch) close() {
	closeAll(l.extra)
	if l.ctl != nil {
		l.ctl.c.Close()
	}
}

// source makes the host's path one that _init can show, read-only.
func (l *launch) source(path string) (source, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return source{}, fmt.Errorf("%s: %w", path, reason(err))
	}
	if real, err = filepath.Abs(real); err != nil || !l.id.Root {
		return source{Path: real}, err
	}
	fd, err := unix.Open(real, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return source{}, fmt.Errorf("%s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), real)
	defer f.Close()
	tree, err := rootTree(f, sealed)
	if err != nil {
		return source{}, err
	}
	return source{Path: real, Fd: l.inherit(tree)}, nil
}

// workspace is the same for w, writable.
func (l *launch) workspace(w *Workspace) (source, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(w.dir.Fd()), &st); err != nil {
		return source{}, err
	}
	s := source{Path: w.Path, Dev: uint64(st.Dev), Ino: st.Ino}
	if !l.id.Root {
		return s, nil
	}
	tree, err := rootTree(w.dir, plain)
	if err != nil {
		return s, err
	}
	s.Fd = l.inherit(tree)
	if w.idmap == nil {
		return s, nil
	}
	idmap, err := w.idmap()
	if err != nil {
		return s, err
	}
	return s, mapRoot(tree, idmap)
}

// inherit gives f to _init, and returns its number there.
func (l *launch) inherit(f *os.File) int {
	l.extra = append(l.extra, f)
	return firstFd + len(l.extra) - 1
}

// spec turns cfg into what _init reads, and opens what it inherits.
func (l *launch) spec(cfg Config) (spec, error) {
	s := spec{
		Name: cfg.Name, Covered: cfg.Workspace.covered, Masked: cfg.Workspace.masked, Files: cfg.Files, Home: cfg.Home,
		Listen: cfg.Listen, Terminal: cfg.Terminal, TmpBytes: orElse(cfg.TmpBytes, defaultTmpBytes), Grouped: cfg.Group != nil,
		Programs: map[string]source{}, Passwd: passwdFor(l.id),
		Agent: agentSpec{Args: cfg.Args, Env: cfg.Env, Dir: cfg.Workspace.Path, Umask: umask(), Pids: orElse(cfg.Pids, defaultPids), Grouped: cfg.Group != nil},
	}
	var err error
	if s.Workspace, err = l.workspace(cfg.Workspace); err != nil {
		return s, err
	}
	if len(cfg.Bundle) > 0 {
		f, err := memfile("bundle", cfg.Bundle)
		if err != nil {
			return s, err
		}
		s.BundleFd = l.inherit(f)
	}
	for _, p := range systemBinds {
		if err := refuseHidden("the system's", p, cfg.Workspace.hidden); err != nil {
			return s, err
		}
	}
	for _, p := range cfg.ReadOnly {
		src, err := l.source(p)
		if err == nil {
			err = refuseHidden("read-only", src.Path, cfg.Workspace.hidden)
		}
		if err == nil {
			err = refuseSockets("read-only", src.Path)
		}
		if err != nil {
			return s, err
		}
		s.ReadOnly = append(s.ReadOnly, src)
	}
	for name, p := range cfg.Programs {
		if s.Programs[name], err = l.source(p); err != nil {
			return s, err
		}
	}
	return s, nil
}

func orElse(v, otherwise uint64) uint64 {
	if v == 0 {
		return otherwise
	}
	return v
}

// umask reads the umask from /proc, since umask(2) cannot be asked without
// being changed for all threads.
func umask() int {
	for line := range strings.Lines(readSetting("/proc/self/status")) {
		if v, ok := strings.CutPrefix(line, "Umask:"); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 8, 32); err == nil {
				return int(n)
			}
		}
	}
	return 0o022
}

// passwdFor is the host's passwd with a line for the agent's uid where there is
// none, else nil. Programs such as ssh and git stop for a user without a name.
func passwdFor(id identity) []byte {
	data, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return nil
	}
	uid := strconv.Itoa(id.UID)
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == uid {
			return nil
		}
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return fmt.Appendf(data, "agent:x:%d:%d::%s:/bin/sh\n", id.UID, id.GID, Home)
}

// startTimeout bounds the building of a sandbox, a matter of milliseconds.
const startTimeout = 30 * time.Second

// await receives the message that ends a phase of the other side: kind, or its error.
func (w *wire) await(kind string, limit time.Duration) (message, []*os.File, error) {
	w.c.SetReadDeadline(time.Now().Add(limit))
	defer w.c.SetReadDeadline(time.Time{})
	m, files, err := w.receive()
	if err == nil && m.Kind == kind {
		return m, files, nil
	}
	closeAll(files)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET):
		return m, nil, ErrLost
	case err != nil:
		return m, nil, err
	case m.Kind == kindError:
		return m, nil, errors.New(m.Text)
	}
	return m, nil, fmt.Errorf("unexpected message %q from the sandbox; wanted %q", m.Kind, kind)
}
