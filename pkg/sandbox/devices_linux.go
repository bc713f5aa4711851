package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Parts of /proc that are not the agent's business although a namespace does
// not change them; the lists are runc's.
var (
	procReadOnly = []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/bus", "/proc/fs", "/proc/irq"}
	procHidden   = []string{"/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/kmsg", "/proc/latency_stats",
		"/proc/pressure", // where everybody may have the kernel watch for them
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/acpi", "/proc/asound", "/proc/scsi"}
)

// mountProc mounts a /proc of the new process namespace. The kernel allows it
// only while a whole /proc is still in sight, that of the host.
func mountProc(*spec) error {
	if err := makeDirs("/proc"); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	shareWatches()
	for _, p := range procReadOnly {
		if err := bindOver(p, p, sealed); err != nil {
			return err
		}
	}
	return hideProc()
}

// shareWatches leaves the operator half of what each user may have of inotify(7):
// the kernel counts what the agent has as the operator's too, and an editor that
// gets no more is blind. A kernel that knows no such limit leaves it at that.
func shareWatches() {
	for _, what := range []string{"instances", "watches"} {
		most, err := strconv.Atoi(readSetting("/proc/sys/fs/inotify/max_user_" + what))
		if err == nil && most > 1 {
			os.WriteFile("/proc/sys/user/max_inotify_"+what, strconv.AppendInt(nil, int64(most/2), 10), 0) // user_namespaces(7)
		}
	}
}

// hideProc covers files with an empty file and folders with an empty folder,
// never with /dev/null: a device is not what a reader expects (B2).
func hideProc() error {
	if err := makeDirs("/.empty/dir"); err != nil {
		return err
	}
	if err := writeFile("/.empty/file", nil, 0o444); err != nil {
		return err
	}
	for _, p := range procHidden {
		from := "/.empty/file"
		if fi, err := os.Stat(p); err == nil && fi.IsDir() {
			from = "/.empty/dir"
		}
		if err := bindOver(from, p, sealed); err != nil {
			return err
		}
	}
	return nil
}

// bindOver mounts from over path, if path is there.
func bindOver(from, path string, attr uint64) error {
	target, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer unix.Close(target)
	tree, err := cloneTree(unix.AT_FDCWD, from, attr)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	defer unix.Close(tree)
	if err := attach(tree, target); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// maxTerminals bounds what the agent takes of the host's, which all together are
// 4096 (kernel.pty.max).
const maxTerminals = 256

// makeDev makes a /dev of six of the host's nodes and terminals of its own. The
// nodes cannot be made in a user namespace, so they are bound, without nodev.
func makeDev(*spec) error {
	if err := makeDirs("/dev/pts"); err != nil {
		return err
	}
	for _, n := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		tree, err := cloneTree(unix.AT_FDCWD, host+"/dev/"+n, readOnly|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return fmt.Errorf("/dev/%s: %w", n, err)
		}
		err = place(tree, "/dev/"+n)
		unix.Close(tree)
		if err != nil {
			return fmt.Errorf("/dev/%s: %w", n, err)
		}
	}
	if err := unix.Mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, fmt.Sprintf("newinstance,ptmxmode=0666,mode=0620,max=%d", maxTerminals)); err != nil {
		return fmt.Errorf("devpts: %w", err)
	}
	for _, l := range [][2]string{{"pts/ptmx", "/dev/ptmx"}, {"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}} {
		if err := unix.Symlink(l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}
