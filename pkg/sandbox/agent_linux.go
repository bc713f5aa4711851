package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// agentMain is the stage _agent: it gives up what is left, waits for the word of
// process 1, and becomes the command. It returns only when that did not happen:
// the exit code, which process 1 gets to know at once (see prepare).
func agentMain() int {
	unix.CloseOnExec(releaseFd)
	code := prepared()
	unix.SendmsgN(releaseFd, []byte{byte(code)}, nil, nil, unix.MSG_NOSIGNAL)
	return code
}

// prepared works on the calling thread, which is the one that executes; the Go
// runtime's others end with that (execve(2)).
func prepared() int {
	runtime.LockOSThread()
	var s agentSpec
	if err := readSpec(agentFd, &s); err != nil {
		return cannot(err)
	}
	unix.Umask(s.Umask)
	if err := unix.Chdir(s.Dir); err != nil {
		return cannot(fmt.Errorf("%s: %w", s.Dir, err))
	}
	if s.Terminal {
		if err := foreground(); err != nil {
			return cannot(err)
		}
	}
	if s.Grouped {
		preferForKilling()
	}
	if err := confine(s.Pids); err != nil {
		return cannot(err)
	}
	if err := selfTestConfined(); err != nil {
		return cannot(err)
	}
	if !released() {
		return CannotStart
	}
	return become(s, "hint: only /usr, /opt, the workspace and what -ro shows are there inside")
}

// released waits for the word of process 1. Without it the parts are not healthy,
// or the self-test has failed, which process 1 tells.
func released() bool {
	for {
		n, err := unix.Read(releaseFd, make([]byte, 1))
		if err != unix.EINTR {
			return n == 1
		}
	}
}

// preferForKilling has the kernel, when the group's memory is used up, kill the
// agent's processes before process 1, whose end is everybody's (proc(5)). Without it
// the sandbox is lost where the agent's own code would have been told.
func preferForKilling() {
	os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0)
}

func cannot(err error) int {
	fmt.Fprintf(os.Stderr, "bottle: the agent was not started: %v\n", err)
	return CannotStart
}

// foreground makes this process's group the terminal's. With SIGTTOU blocked,
// which otherwise stops a background group that tries (tcsetpgrp(3)).
func foreground() error {
	var set, old unix.Sigset_t
	set.Val[0] = 1 << (uint(unix.SIGTTOU) - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, &old); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, os.Getpid()); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// shut is what holds for process 1 as for the agent, and is set before it starts
// anything: a second command's process is there while the agent runs, which has
// the same uid, and where the kernel has no Landlock could take it over before it
// shut itself. The filter comes last, since it refuses a step before it.
func shut() error {
	// The session keyring is the operator's, also across namespaces. Anonymous:
	// a name could be joined by others.
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil && err != unix.ENOSYS {
		return fmt.Errorf("session keyring: %w", err)
	}
	if err := noCores(); err != nil {
		return err
	}
	return filterSyscalls()
}

// noCores: a core of an agent that was given a file may hold it and leave by
// another way, and what writes cores on many systems is a program that runs
// outside of the sandbox, as root. That one is run with a limit of 0 too; 1 is
// what the kernel takes for its own program having crashed, and no core is
// smaller. The filter keeps it there. Where 0 is all that may be had, it is that.
func noCores() error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1})
	if err == unix.EPERM {
		err = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	}
	if err != nil {
		return fmt.Errorf("core limit: %w", err)
	}
	return nil
}

// confine gives up what process 1 has still: it must not come to the agent's
// limit, nor be within reach of its signals.
func confine(pids uint64) error {
	// Counted per user namespace, threads included (Linux 5.14): a pid limit.
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: pids, Max: pids}); err != nil {
		return fmt.Errorf("process limit: %w", err)
	}
	return landlockScope()
}

// become executes the command; it returns the exit code when that fails, as a
// shell would. Missing is what to say when there is no such command.
func become(s agentSpec, missing string) int {
	path, err := lookPath(s.Args[0], s.Env)
	if err == nil {
		err = syscall.Exec(path, s.Args, s.Env)
	}
	fmt.Fprintf(os.Stderr, "bottle: %s: %v\n", s.Args[0], err)
	if errors.Is(err, unix.ENOENT) {
		if path == "" {
			fmt.Fprintln(os.Stderr, missing)
		}
		return 127
	}
	return 126
}

// lookPath finds name in PATH of env as execvp(3) does: the first executable
// file, else EACCES when there was one that is not executable, else ENOENT.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	found := error(unix.ENOENT)
	for _, dir := range filepath.SplitList(pathOf(env)) {
		if dir == "" {
			dir = "."
		}
		p := filepath.Join(dir, name)
		if dir == "." {
			p = "./" + name
		}
		var st unix.Stat_t
		if unix.Stat(p, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if unix.Access(p, unix.X_OK) == nil {
			return p, nil
		}
		found = unix.EACCES
	}
	return "", found
}

// defaultPath is for an agent without PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func pathOf(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return v
		}
	}
	return defaultPath
}
