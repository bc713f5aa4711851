package scripts

import (
	"context"
	"strings"
	"syscall"
	"testing"
)

// TestExitCodes: bottlerun passes the agent's code on, as env(1) and docker do.
func TestExitCodes(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		op.write(op.work+"/not-executable", "#!/bin/sh\n", 0o644)
		for _, c := range []struct {
			code    int
			command []string
		}{
			{0, []string{"true"}},
			{42, []string{"sh", "-c", "exit 42"}},
			{127, []string{"no-such-command"}},
			{127, []string{"./no-such-file"}},
			{126, []string{"./not-executable"}},
			{126, []string{op.work}},
			{128 + 9, []string{"sh", "-c", "kill -9 $$"}},
			{128 + 15, []string{"sh", "-c", "kill $$"}},
		} {
			op.want(c.code, "", "bottlerun", append([]string{"run", "-f", op.manifest, "codes", "--"}, c.command...)...)
		}
		op.want(2, "", "bottlerun", "run", "-backend", "nonsense", "--", "true")
		op.want(2, "", "bottlerun")
		op.want(1, "bad.yaml:1:1: ", "bottlerun", "run", "-f", op.file("bad.yaml", "nonsense: 1\n"), "codes", "--", "true")
	})
}

// TestTerm: TERM to the launcher ends the agent, and 143 says so.
func TestTerm(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		for command, want := range map[string]int{
			"echo ready; exec sleep 1000":                                  143,
			"trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done": 9,
		} {
			cmd := op.command(context.Background(), "bottlerun", "run", "-f", op.manifest, "term", "--", "sh", "-c", command)
			var out lockedBuffer
			cmd.Stdout, cmd.Stderr = &out, &out
			must(t, cmd.Start())
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			t.Cleanup(func() { cmd.Process.Kill(); <-ended })
			await(t, "the agent runs", func() bool { return strings.Contains(out.String(), "ready") })
			must(t, cmd.Process.Signal(syscall.SIGTERM))
			await(t, "the end", func() bool {
				select {
				case <-ended:
					return true
				default:
					return false
				}
			})
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("%s: exit %d; wanted %d\n%s", command, code, want, out.String())
			}
		}
	})
}

// TestListAndStop is a bottle's life as ls and stop see it.
func TestListAndStop(t *testing.T) {
	asEach(t, func(t *testing.T, op *operator) {
		if out := op.must("bottlerun", "ls"); strings.Contains(out, "\tlocal\t") { // an engine may have bottles of others
			t.Errorf("ls before: %q", out)
		}
		op.start("other")
		b := op.start("mine")
		rec := b.record()
		out := op.must("bottlerun", "ls")
		if !strings.Contains(out, "mine\trunning\tlocal\t") || !strings.Contains(out, "other\trunning\tlocal\t") || !strings.Contains(out, "\t"+op.work+"\n") {
			t.Errorf("ls: %q", out)
		}
		op.want(1, "bottle mine runs already", "bottlerun", "run", "-f", op.manifest, "mine", "--", "true")
		op.must("bottlerun", "stop", "mine")
		if names := alive(rec); len(names) > 0 {
			t.Errorf("after stop there run %q", names)
		}
		if code := b.exit(); code != 143 {
			t.Errorf("the launcher ends with %d", code)
		}
		if out := op.must("bottlerun", "ls"); strings.Contains(out, "mine") || !strings.Contains(out, "other\trunning") {
			t.Errorf("ls afterwards: %q", out)
		}
		op.want(1, "no bottle \"mine\"", "bottlerun", "stop", "mine")
		op.want(2, "", "bottlerun", "stop")
	})
}
