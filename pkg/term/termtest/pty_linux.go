package termtest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds every wait: what takes longer on a busy machine is broken.
const limit = 30 * time.Second

// Open is a new pseudo-terminal of that size: the end of the test, and the end of
// the program.
func Open(t testing.TB, width, height int) (master, slave *os.File) {
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
	if slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	SetSize(t, master, width, height)
	return master, slave
}

// SetSize gives a terminal a size.
func SetSize(t testing.TB, master *os.File, width, height int) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(height), Col: uint16(width)}); err != nil {
		t.Fatal(err)
	}
}

// A Session is a program on a terminal of its own.
type Session struct {
	Cmd   *exec.Cmd
	Slave *os.File

	t      testing.TB
	master *os.File
	mu     sync.Mutex
	screen *Screen
	fault  error
	ended  chan error
}

// Start runs cmd on a new terminal, which controls its session.
func Start(t testing.TB, cmd *exec.Cmd, width, height int) *Session {
	t.Helper()
	master, slave := Open(t, width, height)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	s := &Session{Cmd: cmd, Slave: slave, t: t, master: master, screen: NewScreen(width, height), ended: make(chan error, 1)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read()
	go func() { s.ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	return s
}

func (s *Session) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		if _, werr := s.screen.Write(buf[:n]); werr != nil && s.fault == nil {
			s.fault = werr
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type sends keys.
func (s *Session) Type(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// Resize gives the terminal another size, of which the program is told.
func (s *Session) Resize(width, height int) {
	s.mu.Lock()
	s.screen.Resize(width, height)
	s.mu.Unlock()
	SetSize(s.t, s.master, width, height)
}

// Shown is a copy of the screen as it is now.
func (s *Session) Shown() Screen {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		s.t.Fatalf("%v\n%s", s.fault, s.screen)
	}
	return *s.screen
}

// Wait waits until the screen has all the texts, and returns it.
func (s *Session) Wait(texts ...string) string {
	s.t.Helper()
	return s.Until(func(c Screen) bool {
		for _, text := range texts {
			if !strings.Contains(c.String(), text) {
				return false
			}
		}
		return true
	}, strings.Join(texts, ", "))
}

// Until waits until ok says yes of the screen; what is for the message.
func (s *Session) Until(ok func(Screen) bool, what string) string {
	s.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		text, yes, fault := s.screen.String(), ok(*s.screen), s.fault
		s.mu.Unlock()
		if fault != nil {
			s.t.Fatalf("%v\n%s", fault, text)
		}
		if yes {
			return text
		}
		if time.Now().After(end) {
			s.t.Fatalf("waited for %s; the screen is\n%s\nand before it was written\n%s", what, text, s.Shown().Before)
		}
	}
}

// End waits for the program's end and returns its exit code, -1 for a signal.
func (s *Session) End() int {
	s.t.Helper()
	select {
	case <-s.ended:
		return s.Cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		s.t.Fatalf("the program does not end; the screen is\n%s", s.screen)
	}
	return -1
}
