package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (h *hostile) identity() {
	status, _ := os.ReadFile("/proc/self/status")
	for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		h.holds("status without "+want, strings.Contains(string(status), want+"\n"), string(status))
	}
	h.holds("root", os.Getuid() != 0 && os.Geteuid() != 0 && os.Getgid() != 0, os.Getuid())
	if m, _ := os.ReadFile("/proc/self/uid_map"); h.Local {
		f := strings.Fields(string(m))
		h.holds("root in the map of uids", len(f) == 3 && f[0] == f[1] && f[1] != "0" && f[2] == "1", string(m))
	}
	groups, err := os.Getgroups()
	for _, g := range groups {
		h.holds("root's group", g != 0, groups)
	}
	h.holds("groups", err == nil, err)
	h.refused("setuid 0", call(unix.SYS_SETUID, 0), unix.EINVAL, unix.EPERM)
	h.refused("setgid 0", call(unix.SYS_SETGID, 0), unix.EINVAL, unix.EPERM)
	h.refused("setgroups", call(unix.SYS_SETGROUPS, 0, 0), unix.EPERM)
	h.refused("setresuid 0", call(unix.SYS_SETRESUID, 0, 0, 0), unix.EINVAL, unix.EPERM)
	h.refused("a capability, ambient", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0), unix.EPERM)
	h.refused("no_new_privs off", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), unix.EINVAL)
}

// descriptors: a careless caller of the launcher's leaves some open.
func (h *hostile) descriptors() {
	var open []string
	for fd := 3; fd < 1024; fd++ {
		link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		// The Go runtime of this very agent opens some.
		if err == nil && !strings.HasPrefix(link, "anon_inode:[event") && !strings.HasPrefix(link, "/sys/fs/cgroup/cpu") {
			open = append(open, fmt.Sprint(fd, "=", link))
		}
	}
	h.holds("descriptors besides the streams", len(open) == 0, open)
	for _, fd := range []int{77, 251} {
		_, err := unix.Read(fd, make([]byte, 1))
		h.refused(fmt.Sprintf("read %d", fd), err, unix.EBADF)
	}
}

// streams: a regular file could be opened again and read, or emptied.
func (h *hostile) streams() {
	for fd := range 3 {
		link := fmt.Sprintf("/proc/self/fd/%d", fd)
		fi, err := os.Stat(link)
		h.holds(fmt.Sprintf("a file of the operator's at %d", fd), err == nil && !fi.Mode().IsRegular(), link)
		to, _ := os.Readlink(link)
		h.holds(fmt.Sprintf("a terminal of the operator's at %d", fd), !strings.HasPrefix(to, "/dev/tty") && to != "/dev/console", to)
		if err == nil && fi.Mode().IsRegular() {
			_, err := os.ReadFile(link)
			h.refused(fmt.Sprintf("read %d again", fd), err)
		}
	}
}

// proc: what of the host's a process namespace does not change.
func (h *hostile) proc() {
	for _, f := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/fs/binfmt_misc/register", "/proc/acpi/wakeup", "/proc/mtrr", "/proc/irq/default_smp_affinity"} {
		h.refused("write "+f, os.WriteFile(f, []byte("h"), 0))
	}
	writable := ""
	filepath.WalkDir("/proc/sys", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if fd, err := unix.Open(path, unix.O_WRONLY, 0); err == nil {
			unix.Close(fd)
			writable += " " + path
		}
		return nil
	})
	list, _ := os.ReadDir("/proc/pressure")
	h.holds("the kernel's watch of pressure", len(list) == 0 || !h.Local, list) // an engine leaves it there
	h.holds("settings that can be written", writable == "", writable)
	for _, f := range []string{"/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/dev/mem", "/dev/kmsg", "/dev/port"} {
		data := make([]byte, 16)
		file, err := os.Open(f)
		if err == nil {
			_, err = file.Read(data) // an empty file has nothing, which is well too
			file.Close()
		}
		h.refused("read "+f, err)
	}
	symbols, _ := os.ReadFile("/proc/kallsyms")
	h.holds("addresses of the kernel's", strings.Trim(firstField(symbols), "0") == "", firstField(symbols))
	h.refused("save oneself from the oom killer", os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0), unix.EACCES, unix.EPERM)
	groups, err := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		h.holds("the host's control groups", strings.HasSuffix(line, ":/\n") || !h.Local, line)
	}
	h.holds("no control groups to look at", err == nil || errors.Is(err, fs.ErrNotExist), err)
	for _, f := range []string{"/sys/kernel/uevent_helper", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/sys/fs/cgroup/cgroup.procs",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/release_agent", "/sys/kernel/security/lockdown", "/sys/kernel/debug/x"} {
		h.refused("write "+f, os.WriteFile(f, []byte("x"), 0))
	}
}

func firstField(data []byte) string {
	f := strings.Fields(string(data[:min(len(data), 100)]) + " 0")
	return f[0]
}

// devices: nodes of the host's.
func (h *hostile) devices() {
	want := map[string]bool{"null": true, "zero": true, "full": true, "random": true, "urandom": true, "tty": true, "ptmx": true, "console": true}
	list, err := os.ReadDir("/dev")
	h.holds("more in /dev", err == nil && (!h.Local || len(list) == 13), list)
	for _, d := range list {
		if d.Type()&fs.ModeDevice != 0 {
			h.holds("/dev/"+d.Name(), want[d.Name()], "not one of ours")
		}
	}
	for name, dev := range map[string]int{"memory": 1<<8 | 1, "a disk": 8 << 8, "kmsg": 1<<8 | 11, "fuse": 10<<8 | 229, "kvm": 10<<8 | 232} {
		h.refused("make "+name, unix.Mknod("/tmp/device", unix.S_IFCHR|0o666, dev), unix.EPERM)
		h.refused("make "+name+", a block device", unix.Mknod("/tmp/device", unix.S_IFBLK|0o666, dev), unix.EPERM)
	}
}

// terminal: what is typed into it would be the operator's shell's. This one is of
// the agent's own making.
func (h *hostile) terminal() {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		h.refused("open a terminal", err)
		return
	}
	defer unix.Close(master)
	c := byte('x')
	for name, cmd := range map[string]uintptr{"TIOCSTI": unix.TIOCSTI, "TIOCLINUX": unix.TIOCLINUX, "TIOCSETD": unix.TIOCSETD} {
		for _, fd := range []int{master, 0} {
			h.refused(fmt.Sprint(name, " at ", min(fd, 1)), call(unix.SYS_IOCTL, uintptr(fd), cmd, uintptr(unsafe.Pointer(&c))), unix.EPERM)
		}
		// The kernel takes 32 bits of the command; so must the filter.
		h.refused(name+", with high bits", call(unix.SYS_IOCTL, uintptr(master), cmd|1<<32, uintptr(unsafe.Pointer(&c))), unix.EPERM)
	}
	const peer, console = 0x5441, 0x541D // TIOCGPTPEER, TIOCCONS
	unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	slave, err := result(unix.SYS_IOCTL, uintptr(master), peer, unix.O_RDWR|unix.O_NOCTTY)
	h.holds("no terminal of its own", err == nil, err)
	h.refused("TIOCCONS", call(unix.SYS_IOCTL, slave, console, 0), unix.EPERM)
	unix.Close(int(slave))
	for _, d := range []string{"/dev/console", "/dev/tty0", "/dev/tty1", "/dev/vcs", "/dev/vcsa1"} {
		_, err := os.ReadFile(d)
		h.refused("read "+d, err)
	}
}

// setUID: bits that give another's rights, inside and on the host later.
func (h *hostile) setUID() {
	f, err := filepath.Abs("suid")
	if err == nil {
		err = os.WriteFile(f, []byte("#!/bin/sh\n"), 0o755)
	}
	if err != nil {
		h.holds("write in the workspace", false, err)
		return
	}
	p := text(f)
	fd, _ := unix.Open(f, unix.O_RDWR, 0)
	defer unix.Close(fd)
	dir := filepath.Dir(f)
	for name, err := range map[string]error{
		"chmod u+s":     unix.Chmod(f, 0o4755),
		"chmod g+s":     unix.Chmod(f, 0o2755),
		"fchmod":        unix.Fchmod(fd, 0o4755),
		"fchmodat":      call(unix.SYS_FCHMODAT, here, p, 0o4755),
		"fchmodat2":     call(unix.SYS_FCHMODAT2, here, p, 0o4755, 0),
		"openat":        call(unix.SYS_OPENAT, here, text(f+"2"), unix.O_CREAT|unix.O_WRONLY, 0o4755),
		"O_TMPFILE":     call(unix.SYS_OPENAT, here, text(dir), unix.O_TMPFILE|unix.O_WRONLY, 0o4755),
		"mkdirat":       call(unix.SYS_MKDIRAT, here, text(f+"3"), 0o2755),
		"mknodat":       call(unix.SYS_MKNODAT, here, text(f+"4"), unix.S_IFREG|0o4755, 0),
		"mq_open":       call(unix.SYS_MQ_OPEN, text("x"), unix.O_CREAT|unix.O_RDWR, 0o4755, 0),
		"chmod a dir":   unix.Chmod(dir, 0o2755),
		"capability":    unix.Setxattr(f, "security.capability", make([]byte, 20), 0),
		"mknod device":  unix.Mknod(f+"5", unix.S_IFCHR|0o666, 1<<8|3),
		"chown to root": os.Chown(f, 0, 0),
	} {
		h.refused(name, err, unix.EPERM, unix.EINVAL)
	}
	h.legacySetUID(f)
	// Garbage in a mode that is not looked at passes, and so does a plain one.
	h.holds("no open without O_CREAT", call(unix.SYS_OPENAT, here, p, unix.O_RDONLY, 0o4755) == nil, f)
	h.holds("no chmod", unix.Chmod(f, 0o700) == nil, f)
	fi, err := os.Stat(f)
	h.holds("the bit", err == nil && fi.Mode()&(os.ModeSetuid|os.ModeSetgid) == 0, f)
	os.Remove(f)
	h.runSetUID()
}

// runSetUID runs the system's own. What ran can be looked at until it is reaped.
func (h *hostile) runSetUID() {
	ran := 0
	for _, f := range []string{"/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/usr/bin/chsh", "/usr/bin/sudo"} {
		fi, err := os.Stat(f)
		if err != nil || fi.Mode()&os.ModeSetuid == 0 {
			continue
		}
		cmd := exec.Command(f, "--version")
		if err := cmd.Start(); err != nil {
			h.refused("run "+f, err)
			continue
		}
		var info unix.Siginfo
		unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		_, uids, _ := strings.Cut(string(status), "\nUid:")
		uids, _, _ = strings.Cut(uids, "\n")
		me := fmt.Sprint(os.Getuid())
		h.holds("run "+f, strings.Join(strings.Fields(uids), " ") == strings.Join([]string{me, me, me, me}, " "), uids)
		cmd.Wait()
		ran++
	}
	if ran == 0 {
		h.say("blocked", "run one", "none is there")
	}
}

// exhaustion: what one agent could take from all others. Last, as it takes.
func (h *hostile) exhaustion() {
	var l unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_CORE, &l)
	// With 1 the kernel runs no program of the host's for them, as it does with 0.
	h.holds("core dumps", l.Max == 1 || l.Max == 0 && h.Local && !h.Cores, l)
	for _, n := range []uint64{0, 1 << 30} {
		was := l
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: n, Max: n})
		call(unix.SYS_SETRLIMIT, unix.RLIMIT_CORE, text(strings.Repeat("\x00", 16)))
		unix.Getrlimit(unix.RLIMIT_CORE, &l)
		h.holds(fmt.Sprint("core dumps of ", n), l == was, l)
	}
	unix.Getrlimit(unix.RLIMIT_NPROC, &l)
	if l.Max != ^uint64(0) { // else a cgroup counts
		h.refused("the process limit, raised", unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: l.Max + 1, Max: l.Max + 1}), unix.EPERM)
	}
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm", "/run", os.Getenv("HOME")} {
		h.fill(dir)
	}
	h.watches()
	start := time.Now()
	status, said := again("bomb")
	var n int
	fmt.Sscanf(said, "%d processes", &n)
	h.holds("processes without end", status.Exited() && n > 0 && n < h.Pids, fmt.Sprint(status, " ", said, " ", time.Since(start)))
}

// watches: an instance of inotify is one of the user's, on the host too.
func (h *hostile) watches() {
	data, _ := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	most := 0
	fmt.Sscan(string(data), &most)
	var open []int
	for len(open) < most {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			break
		}
		open = append(open, fd)
	}
	h.holds("all that watches files", len(open) < most || !h.Local, most) // an engine shares no more
	for _, fd := range open {
		unix.Close(fd)
	}
}

// fill asks for more than there is of a folder in memory, at once: the kernel
// says no before it has taken any.
func (h *hostile) fill(dir string) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		return // the engine's own disk, which the engine bounds
	}
	size := int64(st.Blocks) * st.Bsize
	h.holds(dir+" without end", size > 0 && size <= 4<<30, size)
	h.holds("files in "+dir+" without end", st.Files > 0 && st.Files <= 4<<20, st.Files)
	f, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		h.refused("write in "+dir, err)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h.refused("more than "+dir, unix.Fallocate(int(f.Fd()), 0, 0, size+1<<20), unix.ENOSPC)
}

// maxBomb is where the bomb stops if nobody stops it.
const maxBomb = 4096

// bomb forks until that fails, and ends what it made.
func bomb() int {
	var children []int
	err := error(nil)
	for len(children) < maxBomb && err == nil {
		var pid uintptr
		if pid, err = fork(); err == nil {
			children = append(children, int(pid))
		}
	}
	for _, pid := range children {
		unix.Kill(pid, unix.SIGKILL)
	}
	for _, pid := range children {
		unix.Wait4(pid, nil, 0, nil)
	}
	fmt.Printf("%d processes, then %v\n", len(children), err)
	return 0
}

// fork makes a child that waits for its end. It uses nothing of the runtime,
// whose other threads the child has not.
//
//go:norace
func fork() (uintptr, error) {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	for pid == 0 {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
	return pid, nil
}
