package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"bottle/pkg/strictjson"

	"golang.org/x/sys/unix"
)

// A Summary is what Verify found. Head is the hash of the last line: kept
// elsewhere it also shows later that lines were cut off the end, which the
// chain alone cannot.
type Summary struct {
	Lines int    `json:"lines"`
	Head  string `json:"head"`
}

// A BadLine is the first line of a log that does not follow from the ones
// before. Line counts from 1.
type BadLine struct {
	File string
	Line int
	Msg  string
}

func (e *BadLine) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// Verify reads the log path and follows its chain. The error is a *BadLine for
// a line that is cut, is no entry or does not carry the hash of the one before;
// the summary then counts the good lines. Any other error means that the file
// could not be read.
func Verify(path string) (Summary, error) {
	var sum Summary
	err := Each(path, func(line []byte, _ Entry) error {
		sum.Lines++
		sum.Head = hash(line)
		return nil
	})
	return sum, err
}

// Each calls fn with every line of the log path, without its newline, and its
// entry, from the first to the first bad one, which is the error, as of Verify.
// It stops at an error of fn and returns that.
func Each(path string, fn func(line []byte, e Entry) error) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// A shared lock: no line is read while it is being written.
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		return fmt.Errorf("%s: flock: %w", path, err)
	}
	br := bufio.NewReaderSize(f, 64<<10)
	prev := ""
	for n := 1; ; n++ {
		line, err := readLine(br)
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, errLine) {
			return err
		}
		var e Entry
		if err == nil {
			e, err = follow(line, prev)
		}
		if err != nil {
			return &BadLine{path, n, err.Error()}
		}
		if err := fn(line, e); err != nil {
			return err
		}
		prev = hash(line)
	}
}

var errLine = errors.New("bad line")

// readLine returns the next line without its newline, io.EOF at a clean end.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > MaxLine:
			return nil, fmt.Errorf("%w: longer than %d bytes", errLine, MaxLine)
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0:
			return nil, fmt.Errorf("%w: the end is missing; wanted a newline", errLine)
		case err != nil:
			return nil, err
		}
		return bytes.TrimSuffix(line, []byte{'\n'}), nil
	}
}

// follow reads one line that must carry the hash prev.
func follow(line []byte, prev string) (Entry, error) {
	var e Entry
	if err := strictjson.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("not an entry: %v", err)
	}
	if e.Prev != prev {
		return e, fmt.Errorf("prev is %q; wanted %q, the hash of the line before", e.Prev, prev)
	}
	return e, nil
}
