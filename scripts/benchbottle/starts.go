package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// command is bottlerun of bin with a home of its own.
func (o *options) command(ctx context.Context, bin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "bottlerun"), args...)
	cmd.Dir = o.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + o.home}
	for _, name := range []string{"DOCKER_HOST", "DOCKER_CONTEXT", "BOTTLE_DOCKER", "LANG"} {
		if v := os.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Stderr = io.Discard
	cmd.WaitDelay = time.Minute
	return cmd
}

// starts runs nothing in a bottle, again and again, the programs in turns.
func (o *options) starts(ctx context.Context, w io.Writer) error {
	took, cpu := make([][]time.Duration, len(o.bins)), make([][]time.Duration, len(o.bins))
	for range o.runs {
		for i, bin := range o.bins {
			cmd := o.command(ctx, bin, "run", "bench", "--", "true")
			start := time.Now()
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s/bottlerun run -- true: %w", bin, err)
			}
			took[i] = append(took[i], time.Since(start))
			// Of all processes of the bottle: each is waited for by its parent.
			cpu[i] = append(cpu[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		}
	}
	for i := range o.bins {
		row(w, "`run -- true`"+o.of(i), "ms", took[i])
		row(w, "`run -- true`"+o.of(i), "CPU ms", cpu[i])
	}
	return nil
}

// of names one of several programs.
func (o *options) of(i int) string {
	if len(o.bins) == 1 {
		return ""
	}
	return " of " + o.bins[i]
}

// row is a line of the table: milliseconds.
func row(w io.Writer, what, unit string, list []time.Duration) {
	slices.Sort(list)
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
	fmt.Fprintf(w, "| %s, %d runs | %s | %s | %s | %s |\n", what, len(list), unit, ms(list[0]), ms(list[len(list)/2]), ms(list[len(list)*9/10]))
}

// A sitter is a bottle whose agent waits.
type sitter struct {
	cmd *exec.Cmd
	in  io.Closer
	up  time.Duration // until the agent said something
}

// sit starts a command that says something and waits for the end of its input.
func sit(cmd *exec.Cmd) (*sitter, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	notes := &strings.Builder{}
	cmd.Stderr = notes
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &sitter{cmd: cmd, in: in}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("the agent says nothing (%w): %s", err, notes), s.end())
	}
	s.up = time.Since(start)
	return s, nil
}

func (s *sitter) end() error {
	s.in.Close()
	return s.cmd.Wait()
}
