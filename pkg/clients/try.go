package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"bottle/pkg/canary"
)

// A Report is what became of one client.
type Report struct {
	Client   string `json:"client"`
	Program  string `json:"program,omitempty"` // its path; "" when it is not in PATH
	Version  string `json:"version,omitempty"`
	Socket   bool   `json:"socket,omitempty"`    // it has printed what a WebSocket sent
	NoSocket bool   `json:"no_socket,omitempty"` // it has none
	Plain    bool   `json:"plain,omitempty"`     // another program was tried in its place, which makes requests alone
	Stream   bool   `json:"stream,omitempty"`    // and the first event of a stream
	None     bool   `json:"none,omitempty"`      // the program is there, and has not what is tried
	Dead     bool   `json:"dead,omitempty"`      // the program could not be executed
	Said     string `json:"said,omitempty"`      // the last line, where a try failed
}

// Limit is how long one try may take.
const Limit = 15 * time.Second

// maxSaid bounds a version, and what is passed on of a client's words.
const maxSaid = 300

// All tries all that path has, some at a time, in folders below dir, and writes a
// Report for each, one object a line.
func All(ctx context.Context, out io.Writer, path, dir string) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed error
	enc := json.NewEncoder(out)
	slots := make(chan struct{}, max(2, min(4, runtime.NumCPU())))
	list := List()
	slices.SortStableFunc(list, func(a, b Client) int { return b.weight - a.weight })
	for _, c := range list {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r := c.try(ctx, path, filepath.Join(dir, c.Name))
			mu.Lock()
			defer mu.Unlock()
			if err := enc.Encode(r); err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	return failed
}

// try runs what the client has to run.
func (c Client) try(ctx context.Context, path, dir string) Report {
	r := Report{Client: c.Name}
	for _, name := range c.Programs {
		if r.Program == "" {
			r.Program = lookPath(path, name)
		}
	}
	if r.Program == "" {
		return r
	}
	if err := c.prepare(dir); err != nil {
		r.Said = err.Error()
		return r
	}
	version := c.run(ctx, dir, r.Program, c.Version)
	if version.notRun() {
		r.Dead, r.Said = true, version.err.Error()
		return r
	}
	r.Version = versionIn(version)
	for _, args := range c.tries {
		got := c.run(ctx, dir, r.Program, args)
		if c.lacks(got) {
			if p := lookPath(path, c.other[0]); p != "" {
				got, r.Plain = c.run(ctx, dir, p, c.other[1:]), true
			}
		}
		r.Socket = r.Socket || strings.Contains(got.out, canary.SocketMark)
		r.NoSocket = r.NoSocket || strings.Contains(got.out, noSocket)
		r.Stream = r.Stream || strings.Contains(got.out, canary.StreamMark)
		if got.err != nil && r.Said == "" {
			r.Said = lastLine(got.out+"\n"+got.said, got.err)
			r.None = r.Said == None
		}
	}
	return r
}

// lacks reports whether the client has said that it cannot be tried so.
func (c Client) lacks(got ran) bool {
	return slices.ContainsFunc(c.lacking, func(words string) bool { return got.err != nil && strings.Contains(got.said, words) })
}

// prepare makes the client's folder.
func (c Client) prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, text := range c.files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(fill(text, canary.Host(c.Name), dir)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// ran is what came out of a run.
type ran struct {
	out, said string
	err       error
}

// notRun tells a program that could not be executed from one that failed.
func (r ran) notRun() bool {
	var failed *fs.PathError
	return errors.As(r.err, &failed)
}

// run runs the program until it ends, its time is over, or it has printed the
// first event of a stream.
func (c Client) run(ctx context.Context, dir, program string, args []string) ran {
	ctx, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	for _, a := range args {
		cmd.Args = append(cmd.Args, fill(a, canary.Host(c.Name), dir))
	}
	cmd.Dir, cmd.Env = dir, os.Environ()
	for _, e := range c.env {
		cmd.Env = append(cmd.Env, fill(e, canary.Host(c.Name), dir))
	}
	// A group of its own: what it has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said capped
	out := capped{until: canary.StreamMark, done: func() { time.AfterFunc(leave, cancel) }}
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	switch {
	case out.seen: // it was ended, and has done all it had to
		err = nil
	case ctx.Err() == context.DeadlineExceeded:
		err = fmt.Errorf("it did not end within %v", Limit)
		said.b.WriteString("\n" + err.Error())
	}
	return ran{out.b.String(), said.b.String(), err}
}

// leave is how long a client may take to end by itself after the first event.
const leave = 300 * time.Millisecond

// capped keeps the beginning of what is written to it, and says when that holds
// until.
type capped struct {
	b     bytes.Buffer
	until string
	done  func()
	seen  bool
}

const maxOutput = 64 << 10

func (w *capped) Write(p []byte) (int, error) {
	w.b.Write(p[:min(len(p), maxOutput-w.b.Len())])
	if w.until != "" && !w.seen && strings.Contains(w.b.String(), w.until) {
		w.seen = true
		w.done()
	}
	return len(p), nil
}

// lookPath is the program of that name in a PATH; "" for none.
func lookPath(path, name string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if fi, err := os.Stat(file); err == nil && filepath.IsAbs(file) && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// versionIn is the first number with a dot in what a program says of itself.
func versionIn(r ran) string {
	for _, word := range strings.FieldsFunc(r.out+" "+r.said, func(c rune) bool { return strings.ContainsRune(" \t\n\"(),", c) }) {
		v := strings.TrimLeft(word, "vgo")
		if v != "" && v[0] >= '0' && v[0] <= '9' && strings.Contains(v, ".") {
			return v[:min(len(v), maxSaid)]
		}
	}
	return ""
}

// lastLine is the last line that speaks of a failure, else the last that is not
// empty, else the error.
func lastLine(said string, err error) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(said), "\n"), func(l string) bool { return strings.HasPrefix(l, "Picked up ") })
	last := ""
	if len(lines) > 0 {
		last = lines[len(lines)-1]
	}
	for i := len(lines) - 1; i >= 0; i-- {
		if faulty.MatchString(lines[i]) {
			last = lines[i]
			break
		}
	}
	if last = strings.TrimSpace(last); last == "" {
		last = err.Error()
	}
	return last[:min(len(last), maxSaid)]
}

var faulty = regexp.MustCompile(`(?i)certificate|error|exception|refused|fail|could not|cannot|did not end`)
