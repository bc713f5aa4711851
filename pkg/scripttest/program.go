package scripttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// patience is how long a program in the foreground, or one waited for, may take.
const patience = 60 * time.Second

// A process is a program in the background.
type process struct {
	name   string
	cmd    *exec.Cmd
	stem   string        // its output is in stem.stdout and stem.stderr
	done   chan struct{} // closed at its end, when status is set
	status int
}

// program runs words in the foreground, or in the background after an &NAME.
func (s *script) program(not bool, words []string) error {
	last := words[len(words)-1]
	if strings.HasPrefix(last, "&") && len(words) > 1 {
		if not {
			return errors.New("! goes before wait, not before a program in the background")
		}
		return s.start(strings.TrimPrefix(last, "&"), words[:len(words)-1])
	}
	var stdout, stderr bytes.Buffer
	cmd, err := s.command(words)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = patience // a grandchild that keeps the pipe open
	if err = cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err = cmd.Wait()
	late := !timer.Stop()
	s.stdout, s.stderr, s.status = stdout.Bytes(), stderr.Bytes(), exitCode(cmd.ProcessState)
	if late {
		return fmt.Errorf("still running after %v", patience)
	}
	if err != nil && cmd.ProcessState == nil {
		return err
	}
	return s.judge(not)
}

// judge says whether the last program ended as the line demands.
func (s *script) judge(not bool) error {
	if not == (s.status != 0) {
		return nil
	}
	if not {
		return errors.New("exited 0; wanted a failure")
	}
	return fmt.Errorf("exited %d; wanted 0", s.status)
}

// command prepares a process with the script's folder, environment and input,
// in a process group of its own so that all of it can be ended.
func (s *script) command(words []string) (*exec.Cmd, error) {
	path, err := s.lookPath(words[0])
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: words, Dir: s.dir, Env: s.env, Stdin: bytes.NewReader(s.stdin)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.stdin = nil
	return cmd, nil
}

func (s *script) start(name string, words []string) error {
	if name == "" {
		name = filepath.Base(words[0])
	}
	if s.find(name) != nil {
		return fmt.Errorf("%s runs in the background already; name one of them with &NAME", name)
	}
	cmd, err := s.command(words)
	if err != nil {
		return err
	}
	p := &process{name: name, cmd: cmd, stem: filepath.Join(s.work, name), done: make(chan struct{})}
	stdout, err := os.Create(p.stem + ".stdout")
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(p.stem + ".stderr")
	if err != nil {
		return err
	}
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.env = append(s.env, fmt.Sprintf("%s_pid=%d", variableName(name), cmd.Process.Pid))
	s.background = append(s.background, p)
	go func() {
		cmd.Wait() // its error is in the status
		p.status = exitCode(cmd.ProcessState)
		close(p.done)
	}()
	return nil
}

// variableName is name with what a variable's name cannot hold as underscores.
func variableName(name string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(name)
}

func (s *script) find(name string) *process {
	for _, p := range s.background {
		if p.name == name {
			return p
		}
	}
	return nil
}

// wait blocks until p ends and makes its output and status the last ones.
func (s *script) wait(p *process, not bool) error {
	select {
	case <-p.done:
	case <-time.After(patience):
		return fmt.Errorf("%s still runs after %v", p.name, patience)
	}
	for i, q := range s.background {
		if p == q {
			s.background = append(s.background[:i:i], s.background[i+1:]...)
		}
	}
	s.stdout, s.stderr = p.output()
	s.status = p.status
	return s.judge(not)
}

func (p *process) output() (stdout, stderr []byte) {
	stdout, _ = os.ReadFile(p.stem + ".stdout")
	stderr, _ = os.ReadFile(p.stem + ".stderr")
	return stdout, stderr
}

// end kills p and what it started.
func (p *process) end() {
	select {
	case <-p.done: // reaped: the number may be another process's by now
	default:
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

func exitCode(st *os.ProcessState) int {
	if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return st.ExitCode()
}
