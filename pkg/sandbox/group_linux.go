package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Group is a control group (cgroups(7), version 2) that holds all processes of a
// sandbox together to its limits. Process 1 is put into it while it builds the
// sandbox and waits for that; all others are its children. They do not see it: they
// have no /sys, and a cgroup namespace whose root it is.
//
// There are two ways to one. Where systemd runs, the hierarchy is systemd's, which is
// asked for a scope (scope_linux.go). Elsewhere it is a folder beside our own group,
// in one whose owner we are: a group with processes in it can have no children with
// limits ("no internal processes"), so that it cannot be below our own.
type Group struct {
	limits  Limits
	dir     string // its folder in the hierarchy; of a scope, once it is there
	scope   *scope // of systemd's; nil for a folder of our own
	events  *os.File
	lacking []string
}

// groupPrefix is what the names of our groups begin with.
const groupPrefix = "bottle-"

// FindGroup says how the limits of the bottle name can be held here. It makes
// nothing yet. The error is why nobody can hold them, with a hint.
func FindGroup(name string, lim Limits, getenv func(string) string) (*Group, error) {
	h, err := findHierarchy()
	if err != nil {
		return nil, err
	}
	// The process's number, as bottles of one name may belong to several users.
	name = groupPrefix + name + "-" + strconv.Itoa(os.Getpid())
	g := &Group{limits: lim}
	why := error(nil)
	if g.scope, why = findScope(h, name, getenv); why == nil {
		return g, nil
	}
	parent, err := h.parent(lim)
	if err != nil {
		if errors.Is(why, errNoSystemd) {
			return nil, err
		}
		return nil, why
	}
	g.dir = filepath.Join(parent, name)
	return g, nil
}

// MemoryLimits says how a bottle's memory is bounded here, or why it is not.
func MemoryLimits(getenv func(string) string) (how string, err error) {
	g, err := FindGroup("x", Limits{Memory: 1 << 30}, getenv)
	if err != nil {
		return "", err
	}
	return g.String(), nil
}

// String says where the group is, or will be.
func (g *Group) String() string {
	if g.scope != nil {
		return g.scope.String()
	}
	return "a control group in " + filepath.Dir(g.dir)
}

// Dir is the folder that RemoveGroup removes; "" where systemd does that.
func (g *Group) Dir() string {
	if g.scope != nil {
		return ""
	}
	return g.dir
}

// Lacking names, once the sandbox has started, the limits that nobody holds since
// the controller is not there.
func (g *Group) Lacking() []string { return g.lacking }

// place makes the group and puts the process into it.
func (g *Group) place(pid int) error {
	if err := g.make(pid); err != nil {
		return fmt.Errorf("limits: %w\nhint: a manifest without limits.memory and limits.cpus starts unbounded", err)
	}
	f, err := os.Open(filepath.Join(g.dir, "memory.events"))
	if err == nil {
		g.events = f
	}
	return nil
}

func (g *Group) make(pid int) error {
	if g.scope != nil {
		dir, err := g.scope.place(pid, g.limits)
		if err != nil {
			return err
		}
		g.dir = dir
		return g.checkScope()
	}
	if err := unix.Mkdir(g.dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", g.dir, err)
	}
	if err := g.bound(); err != nil {
		return err
	}
	return g.write("cgroup.procs", strconv.Itoa(pid))
}

// bound writes the limits. The memory's must be held once there is a group; swap is
// there or not.
func (g *Group) bound() error {
	for _, f := range g.limits.files() {
		err := g.write(f.name, f.value)
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.limit == "":
		case errors.Is(err, fs.ErrNotExist) && f.limit != limitMemory:
			g.lacking = append(g.lacking, f.limit)
		case err != nil:
			return err
		}
	}
	return nil
}

// checkScope reads whether systemd has done what it was asked for.
func (g *Group) checkScope() error {
	for _, f := range g.limits.files() {
		data, err := os.ReadFile(filepath.Join(g.dir, f.name))
		switch {
		case f.limit == "":
		case errors.Is(err, fs.ErrNotExist) && f.limit != limitMemory:
			g.lacking = append(g.lacking, f.limit)
		case err != nil:
			return err
		case f.limit == limitMemory && !sameBytes(strings.TrimSpace(string(data)), f.value), f.limit != limitMemory && strings.HasPrefix(string(data), "max"):
			return fmt.Errorf("%s of %s is %s; wanted %s", f.name, g.scope.unit, strings.TrimSpace(string(data)), f.value)
		}
	}
	return nil
}

// sameBytes compares what the kernel has, in whole pages, with what was asked for.
func sameBytes(has, asked string) bool {
	h, bad := strconv.ParseInt(has, 10, 64)
	a, err := strconv.ParseInt(asked, 10, 64)
	return bad == nil && err == nil && h <= a && a-h < int64(os.Getpagesize())
}

func (g *Group) write(file, value string) error {
	f, err := os.OpenFile(filepath.Join(g.dir, file), os.O_WRONLY, 0) // nothing is made here
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// killed is how many processes the kernel has killed for want of memory, as far as
// that can still be read.
func (g *Group) killed() int {
	if g == nil || g.events == nil {
		return 0
	}
	buf := make([]byte, 4096)
	n, _ := g.events.ReadAt(buf, 0)
	for line := range strings.Lines(string(buf[:n])) {
		if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
			k, _ := strconv.Atoi(strings.TrimSpace(v))
			return k
		}
	}
	return 0
}

// Remove removes the group after the end of its sandbox.
func (g *Group) Remove() error {
	if g.events != nil {
		g.events.Close()
	}
	return RemoveGroup(g.Dir())
}

// RemoveGroup removes a group that a launcher has made. Its processes end with the
// launcher, which may take a moment. One that is gone is removed.
func RemoveGroup(dir string) error {
	if dir == "" {
		return nil
	}
	if !strings.HasPrefix(filepath.Base(dir), groupPrefix) {
		return fmt.Errorf("%s: no control group of a bottle", dir)
	}
	for late := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		err := unix.Rmdir(dir)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY || time.Now().After(late) {
			return fmt.Errorf("control group %s: %w", dir, err)
		}
	}
}

// The names of limits, as in the manifest.
const (
	limitMemory = "memory"
	limitCPUs   = "cpus"
)

// A limitFile is one of a group's files. limit is what nobody holds without it: "" for
// swap, which need not be there, and for processes, which RLIMIT_NPROC bounds too.
type limitFile struct{ name, value, limit string }

// cpuPeriod is the kernel's default, in microseconds.
const cpuPeriod = 100000

func (l Limits) files() (list []limitFile) {
	if l.Memory > 0 {
		list = append(list, limitFile{"memory.max", strconv.FormatInt(l.Memory, 10), limitMemory}, limitFile{"memory.swap.max", "0", ""})
	}
	if l.Pids > 0 {
		list = append(list, limitFile{"pids.max", strconv.FormatUint(l.Pids+ownTasks, 10), ""})
	}
	if l.CPUs > 0 {
		list = append(list, limitFile{"cpu.max", fmt.Sprintf("%.0f %d", l.CPUs*cpuPeriod, cpuPeriod), limitCPUs})
	}
	return list
}

// ownTasks is room for process 1 and its like.
const ownTasks = 32

// A hierarchy is where version 2 is mounted, and which group of it we are in.
type hierarchy struct{ mount, own string }

// findHierarchy reads both from /proc (cgroups(7)).
func findHierarchy() (h hierarchy, err error) {
	root := ""
	for line := range strings.Lines(readSetting("/proc/self/mountinfo")) {
		before, after, _ := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && len(f) > 4 {
			root, h.mount = f[3], f[4]
		}
	}
	if h.mount == "" {
		return h, fmt.Errorf("control groups of version 2 are not mounted\n%s", hintDocker)
	}
	for line := range strings.Lines(readSetting("/proc/self/cgroup")) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			h.own = p
		}
	}
	if h.own == "" || !within(h.own, root) {
		return h, fmt.Errorf("our own control group %q is not in %s\n%s", h.own, h.mount, hintDocker)
	}
	h.own = filepath.Join("/", strings.TrimPrefix(h.own, strings.TrimSuffix(root, "/")))
	if !h.has("/", "cgroup.controllers", limitMemory) {
		return h, fmt.Errorf("the control groups in %s have no memory controller: it belongs to version 1, or is off\nhint: systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or -backend docker, whose engine bounds memory", h.mount)
	}
	return h, nil
}

const hintDocker = "hint: -backend docker, whose engine bounds memory"

// has reports whether a file of a group names a controller.
func (h hierarchy) has(group, file, controller string) bool {
	data, err := os.ReadFile(filepath.Join(h.mount, group, file))
	return err == nil && slices.Contains(strings.Fields(string(data)), controller)
}

// parent is the nearest group above our own in which we may make one with limits.
func (h hierarchy) parent(lim Limits) (string, error) {
	handed := false
	for group := h.own; ; group = filepath.Dir(group) {
		dir := filepath.Join(h.mount, group)
		if group != h.own || isRoot(dir) {
			hands := h.has(group, "cgroup.subtree_control", limitMemory)
			if (hands || lim.Memory == 0) && mayMake(dir) {
				return dir, nil
			}
			handed = handed || hands
		}
		if group != "/" {
			continue
		}
		if !handed {
			return "", fmt.Errorf("no control group above %s hands the memory controller down\nhint: as root, echo +memory +pids +cpu >%s/cgroup.subtree_control", filepath.Join(h.mount, h.own), dir)
		}
		return "", fmt.Errorf("no control group above %s is this user's to make one in\nhint: start bottlerun in a group below one that is this user's, its cgroup.procs and all; or -backend docker, whose engine bounds memory", filepath.Join(h.mount, h.own))
	}
}

// isRoot: the hierarchy's root alone has no type, and may have processes and
// children both.
func isRoot(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "cgroup.type"))
	return errors.Is(err, fs.ErrNotExist)
}

// mayMake: a process moves where one may write both ends' common ancestor.
func mayMake(dir string) bool {
	return unix.Access(dir, unix.W_OK) == nil && unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) == nil
}
