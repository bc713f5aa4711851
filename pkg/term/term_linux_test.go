package term_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"bottle/pkg/term"
	"bottle/pkg/term/termtest"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("TERM_TEST_PROGRAM") != "" {
		program()
		return
	}
	os.Exit(m.Run())
}

// program shows each key that it is sent, on a full screen, until q.
func program() {
	t, err := term.Open(os.Stdin, os.Stdout, term.NoInk)
	if err != nil {
		os.Exit(3)
	}
	defer t.Leave()
	text := "ready"
	for {
		t.Draw([]term.Line{{{Text: text}}}, term.Cursor{})
		k, ok := <-t.Keys()
		switch {
		case !ok || k.Rune == 'q':
			return
		case k.Rune == 'p':
			panic("the terminal is given back")
		case k.Rune == 'z':
			if err := t.Suspend(); err != nil {
				panic(err)
			}
		}
		text += string(k.Rune)
	}
}

func start(t *testing.T) (*termtest.Session, unix.Termios) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TERM_TEST_PROGRAM=1")
	s := termtest.Start(t, cmd, 40, 5)
	s.Wait("ready")
	if c := s.Shown(); !c.Alternate || c.Wraps || c.Cursor || !c.Pastes {
		t.Errorf("the screen is not a full one: %+v", c)
	}
	return s, modes(t, s.Slave)
}

func modes(t *testing.T, slave *os.File) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

// restored says that the terminal is as a shell has it.
func restored(t *testing.T, s *termtest.Session) {
	t.Helper()
	s.Until(func(c termtest.Screen) bool { return !c.Alternate && c.Wraps && c.Cursor && !c.Pastes }, "the screen as it was")
	if m := modes(t, s.Slave); m.Lflag&unix.ICANON == 0 || m.Lflag&unix.ECHO == 0 || m.Oflag&unix.OPOST == 0 {
		t.Errorf("the terminal is raw: %+v", m)
	}
}

func TestTerminal(t *testing.T) {
	s, raw := start(t)
	if raw.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
		t.Errorf("the terminal is not raw: %+v", raw)
	}
	s.Type("xé")
	s.Wait("readyxé")
	s.Type("q")
	if code := s.End(); code != 0 {
		t.Errorf("exit %d", code)
	}
	restored(t, s)
}

func TestPanicGivesTheTerminalBack(t *testing.T) {
	s, _ := start(t)
	s.Type("p")
	if code := s.End(); code != 2 {
		t.Errorf("exit %d", code)
	}
	restored(t, s)
}

// TestSuspendWithoutShell: where nobody would continue it, it is not stopped.
func TestSuspendWithoutShell(t *testing.T) {
	s, _ := start(t)
	s.Type("z")
	s.Wait("readyz")
	s.Type("q")
	s.End()
	restored(t, s)
}

func TestTypedBeforeIsDropped(t *testing.T) {
	master, slave := termtest.Open(t, 80, 24)
	if _, err := master.WriteString("a\n"); err != nil {
		t.Fatal(err)
	}
	tm, err := term.Open(slave, slave, term.NoInk)
	if err != nil {
		t.Fatal(err)
	}
	defer tm.Leave()
	master.WriteString("b")
	select {
	case k := <-tm.Keys():
		if k.Rune != 'b' {
			t.Errorf("the key %q, from before", k.Rune)
		}
	case <-time.After(10 * time.Second):
		t.Error("no key")
	}
}

func TestNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := term.Open(r, w, term.NoInk); !errors.Is(err, term.ErrNone) {
		t.Errorf("%v; want ErrNone", err)
	}
}

func TestSize(t *testing.T) {
	master, slave := termtest.Open(t, 40, 15)
	tm, err := term.Open(slave, slave, term.NoInk)
	if err != nil {
		t.Fatal(err)
	}
	defer tm.Leave()
	if w, h := tm.Size(); w != 40 || h != 15 {
		t.Errorf("%dx%d; want 40x15", w, h)
	}
	termtest.SetSize(t, master, 0, 0)
	if w, h := tm.Size(); w != 80 || h != 24 {
		t.Errorf("of a terminal that does not say: %dx%d; want 80x24", w, h)
	}
}
