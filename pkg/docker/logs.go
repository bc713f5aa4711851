package docker

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
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
	args := []string{"logs", "--timestamps", "--tail", strconv.Itoa(tail)}
	if !since.IsZero() {
		args = append(args, "--since", since.UTC().Format(time.RFC3339Nano))
	}
	args = append(args, container)
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
