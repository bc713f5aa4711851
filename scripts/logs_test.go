package scripts

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bottle/pkg/term/termtest"
)

// A follower is a program that goes on until what it follows has ended.
type follower struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   lockedBuffer
	ended chan error
}

func (op *operator) follow(args ...string) *follower {
	op.t.Helper()
	f := &follower{t: op.t, cmd: op.command(context.Background(), "bottlerun", args...), ended: make(chan error, 1)}
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.out
	if err := f.cmd.Start(); err != nil {
		op.t.Fatal(err)
	}
	go func() { f.ended <- f.cmd.Wait() }()
	op.t.Cleanup(func() { f.cmd.Process.Kill() })
	return f
}

// shows waits for text, of one that has not ended.
func (f *follower) shows(text string) {
	f.t.Helper()
	await(f.t, "to follow "+text, func() bool { return strings.Contains(f.out.String(), text) })
	select {
	case err := <-f.ended:
		f.t.Errorf("ended: %v\n%s", err, f.out.String())
		f.ended <- err
	default:
	}
}

// end waits for its end, which is one of exit code 0.
func (f *follower) end() string {
	f.t.Helper()
	select {
	case err := <-f.ended:
		if err != nil {
			f.t.Errorf("%q: %v\n%s", f.cmd.Args, err, f.out.String())
		}
	case <-time.After(limit):
		f.t.Fatalf("%q does not end\n%s", f.cmd.Args, f.out.String())
	}
	return f.out.String()
}

// TestLogs: what comes is printed as it comes, to the end of the bottle, which is
// the end of the following; an interrupt is one too.
func TestLogs(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("log")
		requests, part, left := op.follow("logs", "-f", "log"), op.follow("logs", "-f", "log", "egress-proxy"), op.follow("logs", "-f", "log")
		for _, host := range []string{"first.test", "second.test"} {
			b.get("http://" + host + "/")
			requests.shows(`"host":"` + host + `"`)
		}
		part.shows(`"msg":"listen"`)
		left.cmd.Process.Signal(os.Interrupt)
		left.end()
		b.end()
		got := requests.end()
		part.end()
		if again := op.must("bottlerun", "logs", "log"); again != got {
			t.Errorf("followed\n%s\nand printed\n%s", got, again)
		}
	})
}

// TestExecTerminal: a second command has a terminal of the right size from the
// start, a resize, ^C, and its own exit code; and the agent goes on.
func TestExecTerminal(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		b := op.start("shell")
		s := termtest.Start(t, op.command(context.Background(), "bottlerun", "exec", "shell", "--", "sh", "-c",
			"trap 'stty size' WINCH; trap 'echo caught; exit 5' INT; stty size; tty; while :; do sleep 0.05; done"), 91, 27)
		said := func(text string) {
			t.Helper()
			s.Until(func(c termtest.Screen) bool { return strings.Contains(c.Before, text) }, text)
		}
		said("27 91\r\n/dev/pts/")
		s.Resize(100, 40)
		said("40 100\r\n")
		s.Type("\x03")
		said("caught\r\n")
		if code := s.End(); code != 5 {
			t.Errorf("exit %d; wanted 5", code)
		}
		if out, code := b.sh("echo goes on"); out != "goes on\n" || code != 0 {
			t.Errorf("the agent answers %q", out)
		}
	})
}
