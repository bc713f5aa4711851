package scripts

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bottle/pkg/reload"
	"bottle/pkg/state"
)

// A bottle is a running one whose agent is a shell that does what the test says.
type bottle struct {
	op    *operator
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of the agent's output
	notes lockedBuffer
	ended chan struct{}
	calls int
}

// start starts a bottle by the manifest and waits until its agent answers.
func (op *operator) start(name string) *bottle {
	op.t.Helper()
	return op.startWith(name)
}

// startWith is start with more flags of run.
func (op *operator) startWith(name string, flags ...string) *bottle {
	op.t.Helper()
	b := &bottle{op: op, t: op.t, name: name, lines: make(chan string, 1000), ended: make(chan struct{})}
	b.cmd = op.command(context.Background(), "bottlerun", slices.Concat([]string{"run", "-f", op.manifest}, flags, []string{name, "--", "sh"})...)
	out, err := b.cmd.StdoutPipe()
	if err == nil {
		b.in, err = b.cmd.StdinPipe()
	}
	if err != nil {
		op.t.Fatal(err)
	}
	b.cmd.Stderr = &b.notes
	if err := b.cmd.Start(); err != nil {
		op.t.Fatal(err)
	}
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			b.lines <- s.Text()
		}
		close(b.lines)
		b.cmd.Wait()
		close(b.ended)
	}()
	op.t.Cleanup(b.end)
	if out, code := b.sh("echo ready"); out != "ready\n" || code != 0 {
		op.t.Fatalf("the agent answers %q", out)
	}
	return b
}

// end ends the bottle, by force if need be.
func (b *bottle) end() {
	b.in.Close()
	select {
	case <-b.ended:
		return
	case <-time.After(limit):
	}
	b.t.Errorf("bottle %s does not end\n%s", b.name, b.notes.String())
	b.cmd.Process.Kill()
	<-b.ended
}

// exit waits for the end of the launcher and returns its exit code.
func (b *bottle) exit() int {
	b.t.Helper()
	select {
	case <-b.ended:
	case <-time.After(limit):
		b.t.Fatalf("bottle %s does not end\n%s", b.name, b.notes.String())
	}
	return b.cmd.ProcessState.ExitCode()
}

// send has the agent run a script; sh waits for it.
func (b *bottle) send(script string) (mark string) {
	b.t.Helper()
	b.calls++
	mark = fmt.Sprintf("e2e-end-%d ", b.calls)
	// In a subshell, so that 'exit' is the script's.
	if _, err := fmt.Fprintf(b.in, "(\n%s\n) </dev/null 2>&1; e2e=$?; echo; echo %s$e2e\n", script, mark); err != nil {
		b.t.Fatalf("the agent is gone: %v\n%s", err, b.notes.String())
	}
	return mark
}

// sh has the agent run a script and returns its output and exit code.
func (b *bottle) sh(script string) (string, int) {
	b.t.Helper()
	return b.result(b.send(script))
}

// result waits for the end of a script that was sent.
func (b *bottle) result(mark string) (string, int) {
	b.t.Helper()
	var out []string
	late := time.After(limit)
	for {
		select {
		case line, ok := <-b.lines:
			if !ok {
				b.t.Fatalf("the agent ended: %q\n%s", out, b.notes.String())
			}
			if code, ok := strings.CutPrefix(line, mark); ok {
				n, _ := strconv.Atoi(code)
				return output(out), n
			}
			out = append(out, line)
		case <-late:
			b.t.Fatalf("the agent does not answer: %q\n%s", out, b.notes.String())
		}
	}
}

// output is what a script printed. Send's echo ends a last line without an end,
// and is an empty line after one that has it.
func output(lines []string) string {
	if n := len(lines); n > 0 && lines[n-1] == "" {
		lines = lines[:n-1]
	}
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// get has the agent's curl ask for a URL: the status, the proxy's code of a
// refusal, the body.
func (b *bottle) get(url string) (status int, code, body string) {
	b.t.Helper()
	needCurl(b.t)
	out, exit := b.sh("curl -sS -m 15 -w '\\n%{http_code} %header{x-egress-proxy-reason}' " + url)
	i := strings.LastIndex(strings.TrimSuffix(out, "\n"), "\n")
	if exit != 0 || i < 0 {
		b.t.Fatalf("curl %s: exit %d, %q", url, exit, out)
	}
	fmt.Sscan(out[i+1:], &status, &code)
	return status, code, out[:i]
}

func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
}

// record is what the launcher says of the bottle.
func (b *bottle) record() state.Record {
	b.t.Helper()
	r, err := b.op.dir(b.name).Load()
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// status is the proxy's last answer.
func (b *bottle) status() reload.Status {
	b.t.Helper()
	s, err := reload.Read(b.op.dir(b.name).Status())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// A lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
