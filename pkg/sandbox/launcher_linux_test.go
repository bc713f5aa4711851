package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testLauncher is a launcher in a process of its own, so that it can be killed
// or given a terminal. It prints the sandbox's process id on stderr, and exits
// with the agent's code.
func testLauncher(workspace string, args []string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	if os.Getenv(sharedEnv) != "" { // in a mount namespace of its own
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
			return fail(err)
		}
		defer func() {
			fmt.Fprintf(os.Stderr, "%d mounts on the host\n", strings.Count(readSetting("/proc/self/mountinfo"), workspace))
		}()
	}
	w, err := OpenWorkspace(workspace, Policy{})
	if err != nil {
		return fail(err)
	}
	defer w.Close()
	_, err = unix.IoctlGetTermios(0, unix.TCGETS)
	sb, err := Start(Config{Name: "test", Args: args, Workspace: w, Env: []string{"PATH=" + defaultPath, "PS1=$ ", "HOME=" + Home},
		Terminal: err == nil, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(os.Stderr, "pid %d\n", sb.Pid())
	if err := sb.Go(Check{}); err != nil {
		sb.Abandon()
		return fail(err)
	}
	code, err := sb.Wait()
	if err != nil {
		return fail(err)
	}
	return code
}

const sharedEnv = "SANDBOX_TEST_SHARED"

// TestSharedMounts: where the host's mounts are shared, as systemd has them, nothing
// of a sandbox is mounted on the host.
func TestSharedMounts(t *testing.T) {
	needsSandbox(t)
	if os.Geteuid() != 0 {
		t.Skip("a user's sandbox has copied mounts, not trees from outside")
	}
	dir := t.TempDir()
	lay(t, dir, map[string]string{".git/config": "", ".env": "A=1"})
	cmd := launcher(t, dir, "sh", "-c", "cat .env; touch .git/config || echo held")
	cmd.Env = append(os.Environ(), sharedEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "held\n") || !strings.HasSuffix(string(out), "\n0 mounts on the host\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func launcher(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command("/proc/self/exe", append([]string{"test-launcher", dir}, args...)...)
}

// sandboxPid reads the line that testLauncher prints.
func sandboxPid(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
	if err != nil {
		t.Fatalf("launcher: %s", line)
	}
	return pid
}

// processesIn counts the processes of the process namespace ns that live; a
// dead one may wait for the system's own process 1 to reap it.
func processesIn(ns string) int {
	n := 0
	links, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	for _, l := range links {
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(l)), "stat"))
		if got, err := os.Readlink(l); err == nil && got == ns && !strings.Contains(string(stat), ") Z ") {
			n++
		}
	}
	return n
}

// eventually waits until ok, at most 10 s.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func TestDiesWithLauncher(t *testing.T) {
	needsSandbox(t)
	dir := t.TempDir()
	cmd := launcher(t, dir, "sh", "-c", "trap '' TERM HUP; setsid sleep 300 & (trap '' HUP; sleep 301 &) ; echo up; sleep 302")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := sandboxPid(t, bufio.NewReader(errs))
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatal(line, err)
	}
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid_for_children", pid))
	if err != nil {
		ns = childNamespace(t, pid)
	}
	if n := processesIn(ns); n < 2 {
		t.Fatalf("%d processes in the sandbox; wanted a shell and sleeps", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	eventually(t, "all dead", func() bool { return processesIn(ns) == 0 })
	// The kernel has cleaned up all but the placeholders.
	if got := listing(t, dir); !strings.Contains(got, ".vscode") {
		t.Errorf("no placeholder is left, so that the next part shows nothing: %q", got)
	}
	if err := CleanWorkspace(dir); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the workspace: %v", left)
	}
}

// childNamespace finds the namespace by a child of pid, for a user who may not
// look at pid itself, which is not dumpable.
func childNamespace(t *testing.T, pid int) string {
	t.Helper()
	ns := ""
	eventually(t, "a process in the sandbox", func() bool {
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, s := range stats {
			data, _ := os.ReadFile(s)
			_, rest, _ := strings.Cut(string(data), ") ")
			if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
				if ns, _ = os.Readlink(filepath.Join(filepath.Dir(s), "ns/pid")); ns != "" {
					return true
				}
			}
		}
		return false
	})
	return ns
}

// A terminal for tests: the master end and the slave's path.
func openPty(t *testing.T) (*os.File, *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // opened by root, for a test that runs as somebody else
	}
	t.Cleanup(func() { slave.Close() })
	setSize(t, master, 24, 80)
	return master, slave
}

func setSize(t *testing.T, master *os.File, rows, cols uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		t.Fatal(err)
	}
}

// A session is a launcher on a terminal.
type session struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	seen   chan string
	text   string
}

// openAgent is a launcher's agent on a terminal.
func openAgent(t *testing.T, args ...string) *session {
	t.Helper()
	return openSession(t, launcher(t, t.TempDir(), args...))
}

func openSession(t *testing.T, cmd *exec.Cmd) *session {
	t.Helper()
	master, slave := openPty(t)
	s := &session{t: t, master: master, cmd: cmd, seen: make(chan string, 64)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.seen)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.seen <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { s.cmd.Process.Kill() })
	return s
}

// expect waits for text on the terminal.
func (s *session) expect(want string) {
	s.t.Helper()
	limit := time.After(20 * time.Second)
	for !strings.Contains(s.text, want) {
		select {
		case more, ok := <-s.seen:
			if !ok {
				s.t.Fatalf("terminal closed; wanted %q in %q", want, s.text)
			}
			s.text += more
		case <-limit:
			s.t.Fatalf("wanted %q in %q", want, s.text)
		}
	}
	_, s.text, _ = strings.Cut(s.text, want)
}

func (s *session) write(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.master, text); err != nil {
		s.t.Fatal(err)
	}
}

// stopped waits until the launcher has stopped.
func (s *session) stopped() {
	s.t.Helper()
	late := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	var ws unix.WaitStatus
	if _, err := unix.Wait4(s.cmd.Process.Pid, &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() {
		s.t.Fatalf("the launcher did not stop: %v %v", ws, err)
	}
}

func (s *session) code() int {
	s.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer timer.Stop()
	s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func TestTerminal(t *testing.T) {
	needsSandbox(t)
	s := openAgent(t, "sh", "-c", `tty; stty size; trap 'stty size; echo resized' WINCH; echo go; while :; do sleep 0.05; done`)
	s.expect("/dev/pts/0")
	s.expect("24 80")
	s.expect("go")
	setSize(t, s.master, 40, 132)
	s.expect("40 132")
	s.expect("resized")
	s.write("\x03")
	if code := s.code(); code != 130 {
		t.Errorf("after ^C code %d, want 130", code)
	}
}

func TestTerminalIsGivenBack(t *testing.T) {
	needsSandbox(t)
	s := openAgent(t, "sh", "-c", "echo one; exit 7")
	before, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s.expect("one")
	if code := s.code(); code != 7 {
		t.Errorf("code %d, want 7", code)
	}
	after, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if after.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != unix.ECHO|unix.ICANON|unix.ISIG || after.Oflag != before.Oflag {
		t.Errorf("the terminal stays raw: %+v", after)
	}
}

func TestJobControl(t *testing.T) {
	needsSandbox(t)
	s := openAgent(t, "bash", "--norc", "-i")
	s.expect("$ ")
	s.write("sleep 100\r")
	s.expect("sleep 100")
	time.Sleep(200 * time.Millisecond) // no sign shows that bash has given the terminal away
	s.write("\x1a")
	s.expect("Stopped")
	s.write("fg; echo back=$?\r")
	s.expect("sleep 100\r\n")
	time.Sleep(200 * time.Millisecond)
	s.write("\x03")
	s.expect("$ ")
	s.write("exit 3\r")
	if code := s.code(); code != 3 {
		t.Errorf("code %d, want 3", code)
	}
}

// TestSuspend: an agent that is stopped stops its launcher, and goes on with it.
func TestSuspend(t *testing.T) {
	needsSandbox(t)
	s := openAgent(t, "sh", "-c", "echo one; kill -STOP $$; echo two; exit 4")
	s.stopped()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.expect("one") // may come before or after the stop
	s.expect("two")
	if code := s.code(); code != 4 {
		t.Errorf("code %d, want 4", code)
	}
}
