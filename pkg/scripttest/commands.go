package scripttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var errUsage = errors.New("wrong use")

// commands are the words a line may begin with; any other is a program.
var commands = map[string]func(s *script, not bool, args []string) error{
	"exec": doExec, "wait": doWait, "kill": doKill, "stdin": doStdin, "stdout": doStdout, "stderr": doStderr,
	"status": doStatus, "cmp": doCmp, "grep": doGrep, "exists": doExists, "waitfor": doWaitfor, "cp": doCp,
	"mkdir": doMkdir, "rm": doRm, "chmod": doChmod, "env": doEnv, "cd": doCd, "skip": doSkip,
}

// negatable are the commands that may follow a !.
var negatable = []string{"exec", "wait", "stdout", "stderr", "grep", "exists"}

func doExec(s *script, not bool, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	return s.program(not, args)
}

func doWait(s *script, not bool, args []string) error {
	if len(args) > 1 || not && len(args) == 0 {
		return errUsage
	}
	if len(args) == 1 {
		p := s.find(args[0])
		if p == nil {
			return errors.New("no such program in the background")
		}
		return s.wait(p, not)
	}
	for len(s.background) > 0 {
		if err := s.wait(s.background[0], false); err != nil {
			return err
		}
	}
	return nil
}

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL,
	"USR1": syscall.SIGUSR1, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
}

func doKill(s *script, _ bool, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	sig, ok := signals[strings.TrimPrefix(args[0], "-")]
	p := s.find(args[1])
	if !ok || p == nil {
		return errors.New("no such signal, or no such program in the background")
	}
	return p.cmd.Process.Signal(sig)
}

func doStdin(s *script, _ bool, args []string) (err error) {
	if len(args) != 1 {
		return errUsage
	}
	s.stdin, err = s.read(args[0])
	return err
}

// read is the content of a file, or the last output for stdout and stderr.
func (s *script) read(name string) ([]byte, error) {
	switch name {
	case "stdout":
		return s.stdout, nil
	case "stderr":
		return s.stderr, nil
	}
	return os.ReadFile(s.path(name))
}

func doStdout(s *script, not bool, args []string) error { return match(not, args, s.stdout) }
func doStderr(s *script, not bool, args []string) error { return match(not, args, s.stderr) }

func match(not bool, args []string, text []byte) error {
	if len(args) != 1 {
		return errUsage
	}
	re, err := regexp.Compile("(?m)" + args[0])
	if err != nil {
		return err
	}
	if found := re.Match(text); found == not {
		return fmt.Errorf("matches: %v; wanted %v", found, !not)
	}
	return nil
}

func doStatus(s *script, _ bool, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	if want, err := strconv.Atoi(args[0]); err != nil || want != s.status {
		return fmt.Errorf("status is %d", s.status)
	}
	return nil
}

func doCmp(s *script, _ bool, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	got, err := s.read(args[0])
	if err != nil {
		return err
	}
	want, err := s.read(args[1])
	if err != nil {
		return err
	}
	if bytes.Equal(got, want) || s.rewrite(args[1], got) {
		return nil
	}
	return fmt.Errorf("differ\n[%s]\n%s[%s]\n%s", args[0], withNewline(got), args[1], withNewline(want))
}

// rewrite puts data into the archive's file when -update was given.
func (s *script) rewrite(name string, data []byte) bool {
	for i := range s.archive.files {
		f := &s.archive.files[i]
		if s.update && filepath.Join(s.work, f.name) == s.path(name) {
			f.data, s.dirty = bytes.Clone(data), true
			return true
		}
	}
	return false
}

func doGrep(s *script, not bool, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	text, err := s.read(args[1])
	if err != nil {
		return err
	}
	return match(not, args[:1], text)
}

func doExists(s *script, not bool, args []string) error {
	for _, name := range args {
		if _, err := os.Lstat(s.path(name)); (err == nil) == not {
			return fmt.Errorf("%s exists: %v", name, err == nil)
		}
	}
	return usageUnless(len(args) > 0)
}

// doWaitfor polls: a file has no event that every system reports alike.
func doWaitfor(s *script, _ bool, args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return errUsage
	}
	pattern := ""
	if len(args) == 2 {
		pattern = args[1]
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		text, err := os.ReadFile(s.path(args[0]))
		if err == nil {
			err = match(false, []string{pattern}, text)
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func doCp(s *script, _ bool, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	dst := s.path(args[len(args)-1])
	for _, src := range args[:len(args)-1] {
		data, err := s.read(src)
		if err != nil {
			return err
		}
		to := dst
		if fi, err := os.Stat(dst); err == nil && fi.IsDir() {
			to = filepath.Join(dst, filepath.Base(src))
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func doMkdir(s *script, _ bool, args []string) error {
	return each(s, args, func(path string) error { return os.MkdirAll(path, 0o755) })
}

func doRm(s *script, _ bool, args []string) error { return each(s, args, os.RemoveAll) }

func doChmod(s *script, _ bool, args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	mode, err := strconv.ParseUint(args[0], 8, 12)
	if err != nil {
		return err
	}
	return each(s, args[1:], func(path string) error { return os.Chmod(path, os.FileMode(mode)) })
}

func each(s *script, names []string, do func(path string) error) error {
	for _, name := range names {
		if err := do(s.path(name)); err != nil {
			return err
		}
	}
	return usageUnless(len(names) > 0)
}

func doEnv(s *script, _ bool, args []string) error {
	for _, kv := range args {
		if !strings.Contains(kv, "=") {
			return errUsage
		}
		s.env = append(s.env, kv)
	}
	return usageUnless(len(args) > 0)
}

func doCd(s *script, _ bool, args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	fi, err := os.Stat(s.path(args[0]))
	if err == nil && !fi.IsDir() {
		err = errors.New("not a folder")
	}
	if err == nil {
		s.dir = s.path(args[0])
	}
	return err
}

func doSkip(s *script, _ bool, args []string) error {
	s.skipped = strings.Join(args, " ")
	return usageUnless(s.skipped != "")
}

func usageUnless(ok bool) error {
	if ok {
		return nil
	}
	return errUsage
}
