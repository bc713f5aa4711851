package docker

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A LogLine is one line that a container wrote, to either stream.
type LogLine struct {
	Time time.Time // the engine's
	Text []byte
}

// maxLog bounds what Logs takes from the engine.
const maxLog = 16 << 20

// Logs are the last lines that a container wrote, tail of them at most, and none
// from before since unless that is zero. Both streams are in the order of the
// engine's log.
func (e *Engine) Logs(ctx context.Context, container string, since time.Time, tail int) ([]LogLine, error) {
	if err := validPlace(container, "/"); err != nil {
		return nil, err
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Limit)
		defer cancel()
	}
	args := append(logArgs(since), "--tail", strconv.Itoa(tail), container)
	began := time.Now()
	cmd := e.Command(ctx, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	both := &bounded{b: &out, left: maxLog}
	cmd.Stdout, cmd.Stderr = both, both // one pipe, so that the order stays
	if err := cmd.Run(); err != nil {
		said := out.Bytes()
		return nil, e.failed(ctx, args, err, quiet(string(said[max(0, len(said)-4096):])), began)
	}
	if both.left == 0 {
		return nil, fmt.Errorf("%s logs %s: more than %d bytes", e.program(), container, maxLog)
	}
	return logLines(out.Bytes()), nil
}

func logArgs(since time.Time) []string {
	args := []string{"logs", "--timestamps"}
	if !since.IsZero() {
		args = append(args, "--since", since.UTC().Format(time.RFC3339Nano))
	}
	return args
}

// A Follower reads a container's log as it is written.
type Follower struct {
	s       *Session
	mu      sync.Mutex
	partial []byte // a line without its end yet
	lines   []LogLine
	left    int
}

// Follow begins with the lines of since, or all if that is zero. Who calls it closes
// it.
func (e *Engine) Follow(container string, since time.Time) (*Follower, error) {
	if err := validPlace(container, "/"); err != nil {
		return nil, err
	}
	f := &Follower{left: maxLog}
	var err error
	f.s, err = e.session(append(logArgs(since), "--follow", container), f)
	return f, err
}

// Write takes what the CLI prints, of both streams.
func (f *Follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left -= len(p); f.left < 0 {
		return 0, fmt.Errorf("more than %d bytes of log", maxLog)
	}
	f.partial = append(f.partial, p...)
	if end := bytes.LastIndexByte(f.partial, '\n') + 1; end > 0 {
		f.lines = append(f.lines, logLines(bytes.Clone(f.partial[:end]))...)
		f.partial = f.partial[:copy(f.partial, f.partial[end:])]
	}
	return len(p), nil
}

// Lines are those that have come since the last call. The error is that no more
// will come.
func (f *Follower) Lines() (lines []LogLine, err error) {
	select {
	case <-f.s.Ended():
		err = f.s.Err()
	default:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	lines, f.lines = f.lines, nil
	if len(lines) > 0 {
		return lines, nil
	}
	return nil, err
}

// Close ends it.
func (f *Follower) Close() {
	f.s.Kill()
	f.s.Close()
}

// logLines are the lines that begin with a time; the CLI's own do not.
func logLines(out []byte) (lines []LogLine) {
	for l := range bytes.Lines(out) {
		at, text, _ := bytes.Cut(bytes.TrimRight(l, "\r\n"), []byte(" "))
		if t, err := time.Parse(time.RFC3339Nano, string(at)); err == nil {
			lines = append(lines, LogLine{t, text})
		}
	}
	return lines
}
