package mirror

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
)

// logTail is how far back the log is read for the configuration that runs.
const logTail = 64 << 20

// A line is what pipelock said about its configuration: exactly one of the
// fields is set.
type line struct {
	live    string // SHA-256 of the file that it runs from now on
	refused string // why it keeps the one it runs
	warning string // what the reason was, said before
}

// parseLine reads one line of pipelock's output, of either stream; ok is false
// for those about something else.
func parseLine(b []byte) (l line, ok bool) {
	if text, found := bytes.CutPrefix(b, []byte("pipelock: config reload failed: ")); found {
		return line{refused: string(text)}, true
	}
	if text, found := bytes.CutPrefix(b, []byte("WARNING: config reload: ")); found {
		return line{warning: string(text)}, true
	}
	if len(b) == 0 || b[0] != '{' {
		return line{}, false
	}
	var event struct {
		Component, Event, Status, Method, Error string
		Hash                                    string `json:"config_hash"`
	}
	if json.Unmarshal(b, &event) != nil || event.Component != "pipelock" {
		return line{}, false
	}
	switch {
	case event.Event == "startup", event.Event == "config_reload" && event.Status == "success":
		return line{live: event.Hash}, event.Hash != ""
	case event.Event == "error" && event.Method == "CONFIG_RELOAD" && strings.HasPrefix(event.Error, "rejected: "):
		// Other errors of this method leave the new configuration running.
		return line{refused: event.Error}, true
	}
	return line{}, false
}

// liveHash is the SHA-256 of the configuration that pipelock said last that it
// runs, "" when the end of the log does not tell.
func liveHash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err != nil {
		return "", err
	} else if _, err := f.Seek(max(0, end-logTail), io.SeekStart); err != nil {
		return "", err
	}
	hash := ""
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		b, err := r.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if bytes.Contains(b, []byte(`"config_hash"`)) { // spares the rest the parser
			if l, ok := parseLine(bytes.TrimSpace(b)); ok && l.live != "" {
				hash = l.live
			}
		}
		if err != nil {
			return hash, nil
		}
	}
}

// A fileTail reads what is added to the log from where it was made.
type fileTail struct {
	f       *os.File
	partial []byte // a line without its end yet
}

// newTail starts at the end of the log.
func newTail(path string) (*fileTail, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return nil, err
	}
	return &fileTail{f: f}, nil
}

// Close closes the log.
func (t *fileTail) Close() error { return t.f.Close() }

// Next are the whole lines that were added since the last call.
func (t *fileTail) Next(context.Context) (lines [][]byte, err error) {
	more, err := io.ReadAll(t.f)
	if err != nil {
		return nil, err
	}
	t.partial = append(t.partial, more...)
	for {
		b, rest, found := bytes.Cut(t.partial, []byte("\n"))
		if !found {
			return lines, nil
		}
		lines, t.partial = append(lines, b), rest
	}
}

// parseLines is what pipelock has said about its configuration.
func parseLines(texts [][]byte) (lines []line) {
	for _, b := range texts {
		if n := len(lines); n > 0 && lines[n-1].refused != "" && bytes.HasPrefix(b, []byte("  ")) {
			lines[n-1].refused += "\n" + string(bytes.TrimRight(b, " \r")) // the parser's list of faults
			continue
		}
		if l, ok := parseLine(bytes.TrimSpace(b)); ok {
			lines = append(lines, l)
		}
	}
	return lines
}
