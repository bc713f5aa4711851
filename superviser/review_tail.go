package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"bottle/pkg/review"

	"golang.org/x/sys/unix"
)

// follow sends the requests that a bottle's proxy refuses, as its access log
// comes to tell of them.
func follow(ctx context.Context, at *place, label string, to chan<- []review.Refusal) {
	send := func(list []review.Refusal) {
		for i := range list {
			list[i].Bottle = label
		}
		select {
		case to <- list:
		case <-ctx.Done():
		}
	}
	l := accessLog{path: at.dir.AccessLog()}
	since := "1h"
	for ctx.Err() == nil {
		if at.docker == nil {
			if list := l.more(); len(list) > 0 {
				send(list)
			}
			pause(ctx, lookHere)
			continue
		}
		begun := time.Now()
		followContainer(ctx, at, since, send)
		since = begun.UTC().Format(time.RFC3339) // a line twice is better than one lost
		pause(ctx, lookForOthers)
	}
}

// followContainer follows the log of the proxy's container until that ends.
// Without the container there is nothing to follow; look tells of it.
func followContainer(ctx context.Context, at *place, since string, send func([]review.Refusal)) {
	part, err := at.docker.Part("egress-proxy")
	if err != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := at.docker.Engine.Command(ctx, "logs", "--follow", "--tail", logTail, "--since", since, part)
	cmd.WaitDelay = lookForOthers
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	lines := bufio.NewReaderSize(out, logLine)
	var list []review.Refusal
	for {
		line, err := lines.ReadSlice('\n')
		if r, ok := refusal(line); ok && err == nil {
			list = append(list, r)
		}
		// Those that came together are one change of the screen.
		if len(list) > 0 && (lines.Buffered() == 0 || len(list) == together) {
			send(list)
			list = nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			break
		}
	}
	stop()
	cmd.Wait()
}

// An accessLog is an access log that is followed, through its renaming when it
// is full.
type accessLog struct {
	path string
	f    *os.File
	rest []byte // of a line that is not whole yet
	skip bool   // the rest of a line of which the beginning was not read
}

// logBack is how much of what was logged before is read, and at most at once;
// logLine is the longest line; together is how many refusals are sent at once.
const logBack, logLine, together = 256 << 10, 64 << 10, 100

// more is what was refused since the last call. A log that is missing or is no
// file has nothing.
func (l *accessLog) more() []review.Refusal {
	var list []review.Refusal
	if l.f != nil {
		list = l.read(nil)
		if l.same() {
			return list
		}
		l.f.Close()
		l.f, l.rest, l.skip = nil, nil, false
	}
	f, err := os.OpenFile(l.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return list
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return list
	}
	l.f = f
	return l.read(list)
}

// same reports whether the path still names the file that is open.
func (l *accessLog) same() bool {
	is, err := os.Lstat(l.path)
	if err != nil {
		return true // being renamed
	}
	was, err := l.f.Stat()
	return err == nil && os.SameFile(is, was)
}

// read appends the refusals of the lines that are whole now. What is further back
// than logBack is passed over: an agent can have more refused than anyone reads.
func (l *accessLog) read(list []review.Refusal) []review.Refusal {
	at, err := l.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return list
	}
	if fi, err := l.f.Stat(); err == nil && fi.Size()-at > logBack {
		l.f.Seek(-logBack, io.SeekEnd)
		l.rest, l.skip = nil, true
	}
	data, err := io.ReadAll(io.LimitReader(l.f, logBack))
	if err != nil {
		return list
	}
	data = append(l.rest, data...)
	for {
		line, rest, whole := bytes.Cut(data, []byte{'\n'})
		if !whole {
			break
		}
		data = rest
		if l.skip {
			l.skip = false
			continue
		}
		if r, ok := refusal(line); ok {
			list = append(list, r)
		}
	}
	if len(data) > logLine {
		data, l.skip = nil, true
	}
	l.rest = bytes.Clone(data)
	return list
}

// refusal reads a line of an access log and reports whether it is of a request
// that was refused.
func refusal(line []byte) (review.Refusal, bool) {
	var a struct {
		Time                                        time.Time
		Verdict, Method, Scheme, Host, Path, Reason string
	}
	if json.Unmarshal(line, &a) != nil || a.Verdict != "block" {
		return review.Refusal{}, false
	}
	return review.Refusal{Time: a.Time, Method: a.Method, Scheme: a.Scheme, Host: a.Host, Path: a.Path, Reason: a.Reason}, true
}
