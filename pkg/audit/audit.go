// Package audit keeps the record of who decided what: JSON lines that are only
// ever appended, each carrying the hash of the line before.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"bottle/pkg/strictjson"

	"golang.org/x/sys/unix"
)

// MaxLine bounds one line in bytes: two tables of the largest size, escaped.
const MaxLine = 64 << 20

// An Entry is one line. Append sets Time when it is zero, and Prev.
type Entry struct {
	Time      time.Time       `json:"time"`
	Operator  string          `json:"operator"`
	Bottle    string          `json:"bottle,omitempty"`
	Component string          `json:"component"`          // "egress-proxy", "pipelock", "capability"
	Proposal  string          `json:"proposal,omitempty"` // its ID; "" when the operator acted unasked
	Record    json.RawMessage `json:"record,omitempty"`   // the proposal as it was filed
	Decision  string          `json:"decision"`           // "approved", "rejected", "applied", ...
	Reason    string          `json:"reason,omitempty"`
	Before    string          `json:"before,omitempty"` // the whole table
	After     string          `json:"after,omitempty"`
	// Of a table that was installed: which run of the bottle it was, and the
	// generations of the proxy before and after.
	Run        string `json:"run,omitempty"`
	Was        uint64 `json:"was,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	Prev       string `json:"prev"` // hex SHA-256 of the line before without its newline; "" on the first
}

// Append writes e as the last line of the file path, which it makes with mode
// 0600 when missing, under an exclusive flock(2) and synced to disk. When that
// fails half-way the file is cut back to what it was. A last line that a crash
// left without its end is closed and stays, for Verify to name.
func Append(path string, e Entry) error {
	// O_NOFOLLOW, O_NONBLOCK: neither a link nor a FIFO put there takes the line.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("%s: flock: %w", path, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	last, torn, err := lastLine(f, fi.Size())
	if err != nil {
		return err
	}
	line, err := encode(e, last)
	if err != nil {
		return err
	}
	if torn {
		line = append([]byte{'\n'}, line...)
	}
	return write(f, line, fi.Size())
}

// encode is the line of e after the line last, with its newline.
func encode(e Entry, last []byte) ([]byte, error) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	e.Prev = ""
	if last != nil {
		e.Prev = hash(last)
	}
	line, err := strictjson.Encode(e)
	if err == nil && len(line) > MaxLine {
		err = fmt.Errorf("audit entry of %d bytes; wanted at most %d", len(line), MaxLine)
	}
	return line, err
}

func write(f *os.File, line []byte, size int64) error {
	_, err := f.Write(line)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(size) // ours alone: the lock is held
	}
	return err
}

func hash(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// lastLine reads the last line of the first size bytes of f, nil of an empty
// file, and reports whether its newline is missing.
func lastLine(f io.ReaderAt, size int64) (line []byte, torn bool, err error) {
	const step = 64 << 10
	var tail []byte
	for off := size; off > 0; {
		n := min(off, step)
		chunk := make([]byte, n, int(n)+len(tail))
		if _, err := f.ReadAt(chunk, off-n); err != nil {
			return nil, false, err
		}
		off -= n
		tail = append(chunk, tail...)
		body := bytes.TrimSuffix(tail, []byte{'\n'})
		if i := bytes.LastIndexByte(body, '\n'); i >= 0 || off == 0 {
			return body[i+1:], len(body) == len(tail), nil
		}
		if len(tail) > MaxLine {
			return nil, false, errors.New("the last line of the audit log is too long")
		}
	}
	return nil, false, nil
}
