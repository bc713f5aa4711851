package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/escape"
	"bottle/pkg/lent"
	"bottle/pkg/sandbox"
	"bottle/pkg/state"
)

// A part is one program that the bottle consists of, besides the agent. It dies
// with this process.
type part struct {
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{} // closed after err is set
	err   error
	hold  *os.File // its standard input, which ends with this process

	lender   *lent.Lender // nil of a part that serves nothing in the jail
	listener func() *os.File
}

// stopTime is how long a part may take to end before it is killed. The agent is
// gone by then, so there is little left for it to do.
const stopTime = 3 * time.Second

// startPart starts a program whose output goes to the log, with files as
// descriptors 3 and up. died gets the part when it ends.
func startPart(name, log, path string, args, env []string, died chan<- mortal, files ...*os.File) (*part, error) {
	out, err := os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	in, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p := &part{name: name, log: log, ended: make(chan struct{}), hold: hold}
	p.cmd = &exec.Cmd{Path: path, Args: append([]string{name}, args...), Env: env, Dir: "/",
		Stdin: in, Stdout: out, Stderr: out, ExtraFiles: files,
		// A session of its own: ^C is for the agent, and the parts outlive it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	done, err := sandbox.StartTied(p.cmd)
	if err != nil {
		hold.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = <-done
		hold.Close()
		close(p.ended)
		died <- p
	}()
	return p, nil
}

// lend gives the part the listener that it was started to serve.
func (p *part) lend() error {
	if p.lender == nil {
		return nil
	}
	err := p.lender.Lend(p.listener())
	if err == nil {
		return nil
	}
	select { // it takes nothing any more: most likely it has ended
	case <-p.ended:
		return p.death()
	case <-time.After(stopTime):
		return fmt.Errorf("%s did not take its listener: %w", p.name, err)
	}
}

// stop ends the part, at once if it does not end by itself.
func (p *part) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// id is the part for the record.
func (p *part) id() state.Part {
	id, _ := state.PartOf(p.cmd.Process.Pid)
	return id
}

// death says that the part has ended although nobody asked it to.
func (p *part) death() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	msg := fmt.Sprintf("%s ended (%s)", p.name, how)
	if last := lastLines(p.log, 3); last != "" {
		msg += ":\n" + last
	}
	return errors.New(msg + "\nhint: its log is " + p.log)
}

// lastLines is the end of a log.
func lastLines(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return linesOf(data, n)
}

// linesOf are the last lines of what a part or a builder says, which may be the words
// of an agent, or of anybody: indented and escaped.
func linesOf(data []byte, n int) string {
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + escape.Text(string(l), 0) + "\n")
	}
	return strings.TrimRight(b.String(), "\n ")
}

// An ending keeps the end of what is written to it.
type ending struct{ b []byte }

const maxEnding = 64 << 10

func (e *ending) Write(p []byte) (int, error) {
	e.b = append(e.b, p...)
	if more := len(e.b) - maxEnding; more > maxEnding {
		e.b = append(e.b[:0], e.b[more:]...)
	}
	return len(p), nil
}
