package sandbox

import (
	"bytes"
	"errors"
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

// A served is a sandbox whose agent runs until it is told to end, and whose
// launcher takes second commands.
type served struct {
	*Sandbox
	t    *testing.T
	path string
	said *bytes.Buffer // by the agent, to be read after end
	stop func()
}

// serve starts one. The agent is script, and then waits.
func serve(t *testing.T, script string) *served {
	t.Helper()
	needsSandbox(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h := &served{t: t, said: new(bytes.Buffer), stop: func() { w.Close() },
		path: filepath.Join(t.TempDir(), strings.Repeat("long", 25), "exec.sock")} // longer than the address of a socket
	mkdir(t, filepath.Dir(h.path))
	cfg := config(t, newWorkspace(t, Policy{}), "sh", "-c", "exec 2>&1\n"+script+"\nread line")
	cfg.Stdin, cfg.Stdout = r, h.said
	if h.Sandbox, err = Start(cfg); err != nil {
		t.Fatal(err)
	}
	if err := h.Go(Check{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Serve(h.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.end)
	return h
}

// end ends the agent, and waits for that.
func (h *served) end() {
	if h.stop == nil {
		return
	}
	h.stop()
	h.stop = nil
	timer := time.AfterFunc(30*time.Second, h.Kill)
	defer timer.Stop()
	h.Wait()
	if _, err := os.Lstat(h.path); !errors.Is(err, os.ErrNotExist) {
		h.t.Errorf("the socket stays: %v", err)
	}
}

// second runs a second command to its end.
func (h *served) second(stdin *os.File, args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	var out, errw bytes.Buffer
	s, err := Enter(h.path, Command{Args: args, Stdin: stdin, Stdout: &out, Stderr: &errw})
	if err != nil {
		h.t.Fatal(err)
	}
	code, err = s.Wait()
	if err != nil {
		h.t.Fatal(err)
	}
	return code, out.String(), errw.String()
}

// processes waits until there are n in the sandbox.
func (h *served) processes(n int) {
	h.t.Helper()
	ns := childNamespace(h.t, h.Pid())
	eventually(h.t, fmt.Sprintf("%d processes", n), func() bool { return processesIn(ns) == n })
}

// resting is what it has then: process 1 and the agent. An ordinary user cannot
// look at process 1.
func resting() int {
	if os.Geteuid() == 0 {
		return 2
	}
	return 1
}

func TestSecondExitCodes(t *testing.T) {
	h := serve(t, "")
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 42"}, 42},
		{[]string{"sh", "-c", "kill -9 $$"}, 137},
		{[]string{"sh", "-c", "kill $$"}, 143},
		{[]string{"no-such-program"}, 127},
		{[]string{"/etc/hostname"}, 126},
	} {
		if code, _, stderr := h.second(nil, c.args...); code != c.want {
			t.Errorf("%q: code %d, want %d; %s", c.args, code, c.want, stderr)
		}
	}
	if _, err := Enter(h.path, Command{Args: []string{""}}); err == nil {
		t.Error("no command was started")
	}
}

func TestSecondStreams(t *testing.T) {
	h := serve(t, "")
	r, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(in, strings.Repeat("line\n", 1<<18))
		in.Close()
	}()
	code, stdout, stderr := h.second(r, "sh", "-c", "tee /dev/stderr")
	if want := strings.Repeat("line\n", 1<<18); code != 0 || stdout != want || stderr != want {
		t.Errorf("code %d, %d and %d bytes of %d", code, len(stdout), len(stderr), len(want))
	}
	if code, stdout, _ := h.second(nil, "cat"); code != 0 || stdout != "" {
		t.Errorf("without input: code %d, %q", code, stdout)
	}
}

// TestSecondEndsWithItsCommand: what the command leaves behind goes on, and keeps
// nobody waiting; what was written before the end is all there.
func TestSecondEndsWithItsCommand(t *testing.T) {
	h := serve(t, "")
	code, stdout, _ := h.second(nil, "sh", "-c", "sleep 300 & head -c 60000 /dev/zero; exit 3")
	if code != 3 || len(stdout) != 60000 {
		t.Errorf("code %d, %d bytes", code, len(stdout))
	}
	h.processes(resting() + 1)
}

const confinement = `grep -E '^(Uid|Gid|Groups|Umask|Cap|NoNew|Seccomp|Sig(Blk|Ign))' /proc/self/status; ulimit -a
umask; pwd; env | sort; readlink /proc/self/ns/* /proc/self/root; nice; readlink /proc/self/fd/[3-9]; true`

// TestSecondIsConfined: as the agent is, whose own words are compared.
func TestSecondIsConfined(t *testing.T) {
	h := serve(t, confinement)
	_, second, _ := h.second(nil, "sh", "-c", "exec 2>&1\n"+confinement)
	code, stdout, _ := h.second(nil, testAgent("neighbour")...)
	if code != 0 || strings.Count(stdout, ": ok") < 8 {
		t.Errorf("code %d: %s", code, stdout)
	}
	h.end()
	if agent := h.said.String(); agent != second || !strings.Contains(second, "Seccomp:\t2") {
		t.Errorf("the agent has\n%s\nand the second command\n%s", agent, second)
	}
}

// neighbour tries, from beside others, what would let one out: the processes of
// ours that are there.
func neighbour([]string) int {
	a := &attacker{}
	own := os.Getppid()
	for _, pid := range []int{1, own} {
		a.refused(fmt.Sprintf("ptrace of ours, %d", min(pid, 2)), call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(pid)), unix.EPERM)
		for _, f := range []string{"fd", "root"} {
			_, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, f))
			a.refused(f, err, unix.EACCES)
		}
		_, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		a.refused("environ", err, unix.EACCES, unix.EPERM)
		if landlockScopes() {
			a.refused("kill -9", unix.Kill(pid, unix.SIGKILL), unix.EPERM)
		}
	}
	a.refused("keyctl", call(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(2), 0), unix.EPERM)
	a.refused("AF_VSOCK", call(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0), unix.EAFNOSUPPORT)
	a.descriptors()
	return a.failed
}

// TestSecondAgainstTheAgent: the agent cannot take over a second command before
// it is confined, nor its parent: here it tries each process that comes.
func TestSecondAgainstTheAgent(t *testing.T) {
	h := serve(t, strings.Join(testAgent("hunter"), " ")+" &")
	for range 10 {
		if code, _, stderr := h.second(nil, "true"); code != 0 {
			t.Errorf("code %d: %s", code, stderr)
		}
	}
	h.end()
	if said := h.said.String(); strings.Contains(said, "ESCAPE") {
		t.Error(said)
	}
}

// hunter tries to trace whatever process appears.
func hunter([]string) int {
	tried := map[int]bool{os.Getpid(): true, os.Getppid(): true}
	for late := time.Now().Add(20 * time.Second); time.Now().Before(late); {
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || tried[pid] {
				continue
			}
			if err := call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, uintptr(pid)); err == nil {
				fmt.Println("ESCAPE: traced", pid)
				return 1
			}
		}
	}
	return 0
}

// testSecond is Enter in a process of its own.
func testSecond(path string, args []string) int {
	_, err := unix.IoctlGetTermios(0, unix.TCGETS)
	s, err := Enter(path, Command{Args: args, Terminal: err == nil, Term: "second", Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	code, err := s.Wait()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 97
	}
	return code
}

// TestSecondOfOneWhoIsGone: who has asked ends before it is told that the command runs.
func TestSecondOfOneWhoIsGone(t *testing.T) {
	h := serve(t, "")
	for range 10 {
		s := &Second{exit: make(chan int, 1)}
		var err error
		if s.asked, err = askLauncher(h.path); err != nil {
			t.Fatal(err)
		}
		if s.streams, err = openStreams(nil, nil, nil, false); err != nil {
			t.Fatal(err)
		}
		if err := s.request(Command{Args: []string{"sh", "-c", "setsid sleep 1000 & sleep 1000"}}); err != nil {
			t.Fatal(err)
		}
		s.close()
	}
	h.processes(resting())
}

// TestSecondDiesWithWhoAsked: also what ignores it, and what has left the group.
func TestSecondDiesWithWhoAsked(t *testing.T) {
	h := serve(t, "")
	for _, script := range []string{
		"setsid sh -c 'setsid sleep 300 & sleep 301' & echo up; cat",
		"trap '' HUP TERM INT; (setsid sleep 300 &) ; echo up; while :; do sleep 0.1; done",
	} {
		cmd := exec.Command("/proc/self/exe", "test-second", h.path, "sh", "-c", script)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		cmd.Process.Kill()
		cmd.Wait()
		h.processes(resting())
	}
}

func TestSecondEndsWithTheAgent(t *testing.T) {
	h := serve(t, "")
	s, err := Enter(h.path, Command{Args: []string{"sleep", "300"}})
	if err != nil {
		t.Fatal(err)
	}
	h.end()
	if code, err := s.Wait(); !errors.Is(err, ErrLost) {
		t.Errorf("code %d, %v; want ErrLost", code, err)
	}
	if _, err := Enter(h.path, Command{Args: []string{"true"}}); !errors.Is(err, ErrNotServed) {
		t.Errorf("after the end: %v; want ErrNotServed", err)
	}
}

func TestSecondSignals(t *testing.T) {
	h := serve(t, "")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Enter(h.path, Command{Args: []string{"sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done"}, Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if code, err := s.Wait(); code != 9 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
}

// TestManySeconds: twenty at once, each with its own code; no more than the limit.
func TestManySeconds(t *testing.T) {
	h := serve(t, "")
	var list []*Second
	for i := range 20 {
		s, err := Enter(h.path, Command{Args: []string{"sh", "-c", fmt.Sprintf("sleep 0.2; exit %d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	for i, s := range list {
		if code, err := s.Wait(); code != i || err != nil {
			t.Errorf("%d: code %d, %v", i, code, err)
		}
	}
	for range maxSeconds + len(list) { // they only ask, and hold their place; the first may find it taken
		c, err := askLauncher(h.path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := Enter(h.path, Command{Args: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "64 commands") {
		t.Errorf("one more than the limit: %v", err)
	}
}

// TestSecondTakesNoFile: a file of the operator's never goes in, whoever asks.
func TestSecondTakesNoFile(t *testing.T) {
	h := serve(t, "")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c, err := askLauncher(h.path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, theirs, err := newWires()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	w := &wire{c}
	if err := w.send(message{Kind: kindSecond}, theirs, log, log, log, log); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.await(kindStarted, startTimeout); err == nil || !strings.Contains(err.Error(), "descriptor 2") {
		t.Errorf("got %v", err)
	}
}

func TestNotServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "exec.sock")
	for _, what := range []string{"no socket", "one of the dead"} {
		if _, err := Enter(path, Command{Args: []string{"true"}}); !errors.Is(err, ErrNotServed) {
			t.Errorf("%s: got %v", what, err)
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Bind(fd, &unix.SockaddrUnix{Name: path})
		unix.Close(fd)
	}
}

// TestSecondTerminal: one of the sandbox's own, of the right size, with ^C, and
// ^Z of a command that is no shell.
func TestSecondTerminal(t *testing.T) {
	h := serve(t, "")
	s := openSession(t, exec.Command("/proc/self/exe", "test-second", h.path, "sh", "-c",
		`trap 'stty size; echo resized' WINCH; tty; stty size; echo $TERM; echo go; while :; do sleep 0.05; done`))
	s.expect("/dev/pts/")
	s.expect("24 80")
	s.expect("second")
	s.expect("go")
	setSize(t, s.master, 40, 132)
	s.expect("40 132")
	s.expect("resized")
	s.write("\x03")
	if code := s.code(); code != 130 {
		t.Errorf("after ^C code %d, want 130", code)
	}
	s = openSession(t, exec.Command("/proc/self/exe", "test-second", h.path, "sh", "-c", "echo up; while ! read line; do :; done; echo got $line; exit 4"))
	s.expect("up")
	s.write("\x1a")
	s.stopped()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.write("word\r")
	s.expect("got word")
	if code := s.code(); code != 4 {
		t.Errorf("code %d, want 4", code)
	}
	// The terminal goes with its leader, whoever else has it open.
	s = openSession(t, exec.Command("/proc/self/exe", "test-second", h.path, "sh", "-c", "sleep 300 & echo left; exit 5"))
	s.expect("left")
	if code := s.code(); code != 5 {
		t.Errorf("code %d, want 5", code)
	}
	h.processes(resting())
}

// TestSecondOfAnotherUser: the socket's mode keeps others out, and without that
// the launcher does.
func TestSecondOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	h := serve(t, "")
	for dir := filepath.Dir(h.path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() string {
		cmd := exec.Command("/proc/self/exe", "test-second", h.path, "true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Error("a command of another user was run")
		}
		return string(out)
	}
	if out := ask(); !strings.Contains(out, "permission denied") {
		t.Errorf("got %q", out)
	}
	if err := os.Chmod(h.path, 0o666); err == nil {
		if out := ask(); !strings.Contains(out, "asked by uid 54321") {
			t.Errorf("got %q", out)
		}
	}
}
