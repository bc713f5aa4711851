package sandbox

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A testPart is a _part that runs as a process.
type testPart struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// partTime bounds every wait for a part.
const partTime = 60 * time.Second

func startTestPart(t *testing.T, p Part) *testPart {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tp := &testPart{t: t, cmd: exec.Command(self, p.Args()...)}
	tp.cmd.Stderr = os.Stderr
	tp.cmd.Env = append(os.Environ(), stageEnv...)
	out, err := tp.cmd.StdoutPipe()
	if err == nil {
		tp.in, err = tp.cmd.StdinPipe()
	}
	if err == nil {
		err = tp.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	tp.out = bufio.NewReader(out)
	late := time.AfterFunc(partTime, func() { tp.cmd.Process.Kill() }) // and line and exit fail
	t.Cleanup(func() { tp.in.Close(); tp.cmd.Wait(); late.Stop() })
	return tp
}

func (p *testPart) line(want string) {
	p.t.Helper()
	got, err := p.out.ReadString('\n')
	if got != want+"\n" {
		p.t.Fatalf("got %q, %v; wanted %q", got, err, want)
	}
}

func (p *testPart) exit() int {
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// TestPartEnds: the program ends when the launcher lets go of standard input,
// also one that does not want to; its code is the part's.
func TestPartEnds(t *testing.T) {
	p := startTestPart(t, Part{Command: shell(`trap "exit 7" TERM; echo up; while :; do sleep 0.02; done`)})
	p.line("up")
	p.in.Close()
	if code := p.exit(); code != 7 {
		t.Errorf("exit %d; wanted the program's 7", code)
	}
	p = startTestPart(t, Part{Command: shell(`exit 5`)})
	if code := p.exit(); code != 5 {
		t.Errorf("exit %d; wanted the program's 5", code)
	}
	p = startTestPart(t, Part{Fd: "lent:" + filepath.Join(t.TempDir(), "s"), Command: shell(`exit 0`)})
	p.in.Close()
	if code := p.exit(); code != CannotStart {
		t.Errorf("exit %d of a part that still waits for a listener; wanted %d", code, CannotStart)
	}
}

// TestPartRenews: HUP takes up the next file and then tells the program; USR1
// starts it anew with it.
func TestPartRenews(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "one")
	p := startTestPart(t, Part{Next: file, Command: shell(`trap "cat ` + file + `" HUP; trap "exit 0" TERM; echo start; cat ` + file + `; while :; do sleep 0.02; done`)})
	p.line("start")
	p.line("one")
	write(file+".next", "two")
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.line("two")
	p.cmd.Process.Signal(syscall.SIGHUP) // nothing next: the file as it is
	p.line("two")
	write(file+".next", "three")
	p.cmd.Process.Signal(syscall.SIGUSR1)
	p.line("start")
	p.line("three")
}

// TestPartEndsWhileItRenews: a launcher that goes away while the program is to be
// started anew is the end all the same.
func TestPartEndsWhileItRenews(t *testing.T) {
	p := startTestPart(t, Part{Next: filepath.Join(t.TempDir(), "config"),
		Command: shell(`trap 'echo term; test -z "$second" || exit 6; second=1' TERM; echo up; while :; do sleep 0.02; done`)})
	p.line("up")
	p.cmd.Process.Signal(syscall.SIGUSR1)
	p.line("term")
	p.in.Close()
	p.line("term")
	if code := p.exit(); code != 6 {
		t.Errorf("exit %d; wanted the program's 6", code)
	}
}

// TestSignalDuringStart: a program runs before its parent knows its process id, and
// a signal that comes between is passed on.
func TestSignalDuringStart(t *testing.T) {
	r := &runningPart{signals: make(chan os.Signal)}
	defer close(r.signals)
	r.mu.Lock()
	go r.obey()
	r.signals <- syscall.SIGHUP // taken when this goes on
	cmd := exec.Command("/bin/sh", "-c", `trap "exit 9" HUP; echo up; while :; do sleep 0.02; done`)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(partTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	bufio.NewReader(out).ReadString('\n')
	r.pid = cmd.Process.Pid
	r.mu.Unlock()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 9 {
		t.Errorf("exit %d; wanted 9, of the signal", code)
	}
}

// TestLentListener: one part listens and lends, the other's program serves.
func TestLentListener(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	path := filepath.Join(t.TempDir(), "lend")
	lender := startTestPart(t, Part{Lend: addr + "=" + path, Command: shell(`echo lent; exec sleep 60`)})
	self, _ := os.Executable()
	server := startTestPart(t, Part{Fd: "lent:" + path, Command: []string{self, "test-agent", "answer", "served"}})
	lender.line("lent")
	server.line("ready")
	if got := ask(t, addr); got != "served" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket for lending is still there")
	}
}

// TestRelay: lines go both ways between the launcher and whoever connects first;
// the second finds nobody.
func TestRelay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "init.sock")
	p := startTestPart(t, Part{Relay: path, Command: shell(`echo on standard error >/dev/null; exec sleep 60`)})
	var c net.Conn
	for late := time.Now().Add(startTimeout); ; time.Sleep(time.Millisecond) {
		var err error
		if c, err = net.Dial("unix", path); err == nil {
			break
		}
		if time.Now().After(late) {
			t.Fatal(err)
		}
	}
	inside := newLines(c, c)
	remote := NewRemote(p.out, p.in)
	if err := remote.Up(); err != nil {
		t.Fatal(err)
	}
	if err := inside.send(message{Kind: kindReady}); err != nil {
		t.Fatal(err)
	}
	if err := remote.Await(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- remote.Go(Check{Healthy: "http://x/", Proxy: "192.0.2.1:9"}) }()
	m, _, err := inside.receive()
	if err != nil || m.Kind != kindGo || m.Proxy != "192.0.2.1:9" {
		t.Fatal(m, err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		t.Error("a second one was taken")
	}
	inside.send(message{Kind: kindStarted})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	remote.Signal(syscall.SIGINT)
	if m, _, err = inside.receive(); m.Kind != kindSignal || m.Code != int(syscall.SIGINT) {
		t.Fatal(m, err)
	}
	c.Close()
	if _, err := remote.Wait(); err != ErrLost {
		t.Errorf("got %v; wanted ErrLost", err)
	}
}

func ask(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	data, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// answer serves the listener at descriptor 3 with one word.
func answer(args []string) int {
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return 1
	}
	os.Stdout.WriteString("ready\n")
	for {
		c, err := ln.Accept()
		if err != nil {
			return 1
		}
		io.WriteString(c, args[0])
		c.Close()
	}
}
