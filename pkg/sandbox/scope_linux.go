package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where systemd runs, control groups are its own to make. It is asked for a scope, a
// unit of processes that it has not started, by the method that systemd-run --scope
// calls. That program itself is no use here: it puts itself into the scope, and our
// process 1 is the child of a launcher that must stay out of it. A scope that is
// empty goes by itself.

// A scope is one of systemd's.
type scope struct {
	unit string
	busctl,
	bus string // --system or --user
	env []string
	h   hierarchy
}

// scopeTimeout bounds the asking, a matter of milliseconds.
const scopeTimeout = 10 * time.Second

var errNoSystemd = errors.New("systemd does not run here")

// findScope says how to ask: a user the user's own manager, root the system's.
func findScope(h hierarchy, name string, getenv func(string) string) (*scope, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return nil, errNoSystemd
	}
	s := &scope{unit: name + ".scope", bus: "--system", h: h}
	var err error
	// Not from a relative folder, which may be the workspace.
	path := slices.DeleteFunc(filepath.SplitList(getenv("PATH")), func(dir string) bool { return !filepath.IsAbs(dir) })
	if s.busctl, err = lookPath("busctl", []string{"PATH=" + strings.Join(path, ":")}); err != nil {
		return nil, fmt.Errorf("systemd cannot be asked for a memory limit: busctl, which comes with it, is not in PATH\n%s", hintDocker)
	}
	if os.Geteuid() == 0 {
		return s, nil
	}
	s.bus = "--user"
	runtime := getenv("XDG_RUNTIME_DIR")
	if runtime == "" {
		runtime = "/run/user/" + strconv.Itoa(os.Geteuid())
	}
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if address == "" {
		address = "unix:path=" + runtime + "/bus"
	}
	if path, ok := strings.CutPrefix(address, "unix:path="); ok {
		path, _, _ = strings.Cut(path, ",")
		if unix.Access(path, unix.W_OK) != nil {
			return nil, fmt.Errorf("systemd cannot be asked for a memory limit: there is no bus of this user's at %s\nhint: log in by ssh or a desktop, or loginctl enable-linger; and the package dbus-user-session", path)
		}
	}
	s.env = []string{"XDG_RUNTIME_DIR=" + runtime, "DBUS_SESSION_BUS_ADDRESS=" + address}
	manager := fmt.Sprintf("/user.slice/user-%[1]d.slice/user@%[1]d.service", os.Geteuid())
	if !h.has(manager, "cgroup.controllers", limitMemory) {
		return nil, fmt.Errorf("this user's systemd has no memory controller in %s\n%s", manager, hintDocker)
	}
	return s, nil
}

func (s *scope) String() string {
	return "a scope of systemd's (busctl " + s.bus + ")"
}

// place has process pid put into a new scope with the limits, and returns its folder.
func (s *scope) place(pid int, lim Limits) (dir string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), scopeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.busctl, s.args(pid, lim)...)
	cmd.Env = s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("systemd made no scope: %w %q", err, strings.TrimSpace(string(out)))
	}
	// The answer comes when the job is queued.
	for ; ; time.Sleep(time.Millisecond) {
		group := groupOf(pid)
		if filepath.Base(group) == s.unit {
			return filepath.Join(s.h.mount, group), nil
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("systemd did not put the sandbox into %s: it is in %q", s.unit, group)
		}
	}
}

// args are busctl's, for StartTransientUnit (org.freedesktop.systemd1(5)). Delegate
// keeps systemd from ending the whole scope when the kernel kills one process in it.
func (s *scope) args(pid int, lim Limits) []string {
	properties := [][]string{
		{"Description", "s", "sandbox of a bottle"}, {"PIDs", "au", "1", strconv.Itoa(pid)},
		{"Delegate", "b", "true"}, {"CollectMode", "s", "inactive-or-failed"},
	}
	add := func(name string, value uint64) {
		properties = append(properties, []string{name, "t", strconv.FormatUint(value, 10)})
	}
	if lim.Memory > 0 {
		add("MemoryMax", uint64(lim.Memory))
		add("MemorySwapMax", 0)
	}
	if lim.Pids > 0 {
		add("TasksMax", lim.Pids+ownTasks)
	}
	if lim.CPUs > 0 {
		add("CPUQuotaPerSecUSec", uint64(lim.CPUs*1e6))
	}
	args := []string{s.bus, "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))", s.unit, "fail", strconv.Itoa(len(properties))}
	for _, p := range properties {
		args = append(args, p...)
	}
	return append(args, "0")
}

// groupOf is the group of a process in the hierarchy of version 2.
func groupOf(pid int) string {
	for line := range strings.Lines(readSetting("/proc/" + strconv.Itoa(pid) + "/cgroup")) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return p
		}
	}
	return ""
}
