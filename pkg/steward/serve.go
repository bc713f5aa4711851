// Package steward changes files in a container by one run of docker's command line
// instead of one for each step: a program of ours there, the steward, holds a lock
// on a folder, reads and writes its files, and signals process 1, for as long as a
// caller outside speaks to it.
//
// The caller sends a line, and with a write its bytes; the answer is a line "ok N"
// with N bytes, or "no KIND TEXT". An empty line says that the caller is there.
package steward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"bottle/pkg/atomicfile"

	"golang.org/x/sys/unix"
)

// held is the first line of a steward: it has the lock.
const held = "held"

// largest is how much one write may be, and a read may ask for.
const largest = 64 << 20

// A request is what the caller wants.
type request struct {
	verb, name string
	n          int64 // of a write its bytes, of a read the most that are wanted
	mode       fs.FileMode
	data       []byte
}

// Verb is the verb of a program that Open can run.
const Verb = "_steward"

// Run is what the verb does; args are FOLDER and SILENCE.
func Run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%q; wanted FOLDER SILENCE", args)
	}
	silence, err := time.ParseDuration(args[1])
	if err != nil || silence <= 0 {
		return fmt.Errorf("%q; wanted a duration such as 30s", args[1])
	}
	return serve(ctx, args[0], silence, in, out)
}

// serve takes the lock on the folder, says so on out, and does what it is asked to
// on in, until that ends, or is silent for as long as silence: then nobody may be
// there any more who would end it.
func serve(ctx context.Context, folder string, silence time.Duration, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	alive := time.AfterFunc(silence, cancel)
	defer alive.Stop()
	requests := make(chan request)
	go func() {
		defer cancel()
		for r := bufio.NewReader(&heard{in, func() { alive.Reset(silence) }}); ; {
			q, err := next(r)
			if err != nil {
				return
			}
			select {
			case requests <- q:
			case <-ctx.Done():
				return
			}
		}
	}()
	unlock, err := lock(ctx, folder)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := io.WriteString(out, held+"\n"); err != nil {
		return err
	}
	for {
		select {
		case q := <-requests:
			if err := answer(out, folder, q); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// heard tells of each read that brought something.
type heard struct {
	io.Reader
	tell func()
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if n > 0 {
		h.tell()
	}
	return n, err
}

// lock waits for the lock on the folder, which no file in it could be: those are
// replaced.
func lock(ctx context.Context, folder string) (unlock func(), err error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			f.Close()
			return nil, fmt.Errorf("%s: flock: %w", folder, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, errors.New("nobody waits for the lock any more")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// next reads the next request, the bytes of a write with it: one that is cut is
// none.
func next(r *bufio.Reader) (q request, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return q, err
		}
		if text := strings.TrimSuffix(string(line), "\n"); text != "" {
			if _, err := fmt.Sscanf(text, "%s %s %d %o", &q.verb, &q.name, &q.n, &q.mode); err != nil {
				return q, err
			}
			break
		}
	}
	if q.n < 0 || q.n > largest {
		return q, fmt.Errorf("%d bytes; wanted %d at most", q.n, int64(largest))
	}
	if q.verb == "write" {
		q.data = make([]byte, q.n)
		_, err = io.ReadFull(r, q.data)
	}
	return q, err
}

// answer does what is wanted and says what came of it. Its error is that nobody
// could be told.
func answer(out io.Writer, folder string, q request) error {
	data, err := do(folder, q)
	if err != nil {
		kind := "other"
		if errors.Is(err, fs.ErrNotExist) {
			kind = "absent"
		}
		_, err = fmt.Fprintf(out, "no %s %q\n", kind, err.Error())
		return err
	}
	if _, err = fmt.Fprintf(out, "ok %d\n", len(data)); err == nil {
		_, err = out.Write(data)
	}
	return err
}

func do(folder string, q request) ([]byte, error) {
	if q.verb == "signal" {
		sig := unix.SignalNum(q.name)
		if sig == 0 {
			return nil, fmt.Errorf("signal %q; wanted a name such as SIGHUP", q.name)
		}
		return nil, syscall.Kill(1, sig)
	}
	if !filepath.IsLocal(q.name) {
		return nil, fmt.Errorf("file %q; wanted one of the folder", q.name)
	}
	path := filepath.Join(folder, q.name)
	switch q.verb {
	case "read":
		return read(path, q.n)
	case "write":
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		return nil, atomicfile.Write(path, q.data, q.mode.Perm())
	case "remove":
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, nil
	}
	return nil, fmt.Errorf("%q; wanted read, write, remove or signal", q.verb)
}

// read refuses what is no file, and more than limit bytes.
func read(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, err
}
