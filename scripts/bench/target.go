package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// readyTime is how long a target may take from its start to its first answer.
const readyTime = 30 * time.Second

// A target is who is measured: a proxy that the run starts, or, without a peer,
// the direct connection.
type target struct {
	setup
	name, version string
	peer          *peer
	cmd           *exec.Cmd
	ended         chan struct{}
	took          time.Duration // from the start of its process to its first answer
}

// newTarget finds the target's program; the target is never nil. name may be NAME=PROGRAM, another build
// of egress-proxy.
func newTarget(name string, w *world) (*target, error) {
	t := &target{setup: setup{world: w}, name: name}
	if name == "direct" {
		return t, nil
	}
	name, program, other := strings.Cut(name, "=")
	t.name = name
	if other {
		name = "egress-proxy"
	}
	for _, p := range peers {
		if p.name == name {
			t.peer = p
		}
	}
	if t.peer == nil {
		return t, errors.New("no such target; wanted direct, egress-proxy, nginx, squid, mitmdump or NAME=PROGRAM")
	}
	var err error
	if program, err = t.peer.find(program); err != nil {
		return t, err
	}
	if t.setup, err = newSetup(w, t.name, program); err != nil {
		return t, err
	}
	t.version = t.readVersion()
	return t, nil
}

func (t *target) note() string {
	if t.peer == nil {
		return "no proxy; its CPU time is the origin's, one end of TLS in Go"
	}
	return t.peer.note
}

// addr is where an agent connects.
func (t *target) addr() string {
	if t.peer == nil {
		return t.Addr
	}
	return t.Listen
}

// session is the session whose processes are measured.
func (t *target) session() int {
	if t.peer == nil {
		return t.origin.Process.Pid
	}
	if t.cmd == nil {
		return -1
	}
	return t.cmd.Process.Pid
}

// start runs the target in an empty folder, and waits for its first answer.
func (t *target) start(ctx context.Context) error {
	if t.peer == nil {
		return t.ready(ctx, time.Now())
	}
	if err := t.peer.prepare(&t.setup); err != nil {
		return err
	}
	log, err := os.Create(t.log())
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(t.Program, t.peer.args(&t.setup)...)
	cmd.Dir, cmd.Env = t.Dir, append(os.Environ(), t.env()...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	t.cmd, t.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(t.ended)
	return t.ready(ctx, began)
}

func (t *target) log() string { return t.Dir + ".log" }

// ready waits until one request has gone through.
func (t *target) ready(ctx context.Context, began time.Time) error {
	for {
		c, err := t.visit(ctx, t.Host)
		if err == nil {
			c.Close()
			t.took = time.Since(began)
			return nil
		}
		select {
		case <-t.ended:
			return fmt.Errorf("it ended at once: %s", t.lastWords())
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(began) > readyTime {
			return fmt.Errorf("no answer in %v: %v", readyTime, err)
		}
	}
}

// lastWords is the line of the target's log that tells most: the first that
// speaks of an error, else the last.
func (t *target) lastWords() string {
	data, _ := os.ReadFile(t.log())
	if line := regexp.MustCompile(`(?i).*(fatal|emerg|error).*`).Find(data); line != nil {
		return string(line)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1]
}

// checkCredential asks the origin whether it sees the credential, which the
// agent does not send.
func (t *target) checkCredential(ctx context.Context) error {
	if t.peer == nil {
		return nil
	}
	c, err := t.dial(ctx, t.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if seen, err := c.text("/auth"); err != nil || seen != "true" {
		return fmt.Errorf("it does not add the credential (%s, %v)", seen, err)
	}
	return nil
}

// stop ends the target's process, then what is left of its session, each by its
// number.
func (t *target) stop() {
	if t.cmd == nil {
		return
	}
	id := t.cmd.Process.Pid
	t.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-t.ended:
	case <-time.After(3 * time.Second):
		t.cmd.Process.Kill()
		<-t.ended
	}
	t.cmd = nil
	sig, began := syscall.SIGTERM, time.Now()
	for left := session(id); len(left) > 0; left = session(id) {
		for _, p := range left {
			syscall.Kill(p.pid, sig)
		}
		if time.Sleep(10 * time.Millisecond); time.Since(began) > time.Second {
			sig = syscall.SIGKILL
		}
	}
}

// restart gives the target a new process.
func (t *target) restart(ctx context.Context) error {
	t.stop()
	return t.start(ctx)
}

// readVersion asks the program for its version, where it has one worth telling:
// what is built here has none.
func (t *target) readVersion() string {
	if t.peer.version == "" {
		return ""
	}
	out, _ := t.run(t.Program, t.peer.version)
	return string(regexp.MustCompile(`[0-9]+(\.[0-9]+)+`).Find(out))
}
