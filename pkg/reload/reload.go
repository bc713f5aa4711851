// Package reload is the proxy's answer to a HUP: which table it loaded, or why not.
package reload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bottle/pkg/atomicfile"
)

// Status is the answer. The proxy writes it whole beside the table at its start
// and after each reload; who asked reads it until Generation has grown.
type Status struct {
	Digest     string    `json:"digest"`          // of the table that is served (route.Table.Digest)
	Generation uint64    `json:"generation"`      // grows by one with each reload, done or refused
	Routes     int       `json:"routes"`          // in the table that is served
	LoadedAt   time.Time `json:"loaded_at"`       // when that table was taken up
	Pid        int       `json:"pid"`             // of the proxy, as it sees itself
	Tried      string    `json:"tried"`           // SHA-256 of the bytes that were read last, in hexadecimal; "" when none were
	Error      string    `json:"error,omitempty"` // why the last reload was refused; the old table serves on

	// EndsAt is when the first of the table's routes ends that had not ended when
	// it was taken up; nil when none does.
	EndsAt *time.Time `json:"ends_at,omitempty"`
	// Uses is how often each route with max_uses was used, by its host. It is
	// brought up to date within a second after a use.
	Uses map[string]int64 `json:"uses,omitempty"`
}

// Path is the answer's file for the table in the file routes.
func Path(routes string) string { return routes + ".status" }

// Next is the file from which a reload takes up a new table for routes.
func Next(routes string) string { return routes + ".next" }

// Write puts s into the file path, readable by all: it holds no secret.
func Write(path string, s Status) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Swap(path, append(data, '\n'), 0o644) // of a process: nothing after a power cut
}

// Read returns the answer in the file path. A file that is missing or cut is an
// error.
func Read(path string) (Status, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Status{}, err
	}
	return Decode(data)
}

// Decode is Read of bytes.
func Decode(data []byte) (Status, error) {
	var s Status
	if err := json.Unmarshal(data, &s); err != nil {
		return Status{}, fmt.Errorf("status file: %v; wanted the JSON object that egress-proxy writes", err)
	}
	return s, nil
}

// ErrNoAnswer says that the proxy did not answer a reload in time.
var ErrNoAnswer = errors.New("no answer from the proxy")

// Await calls read every 5 ms until it returns an answer that is wanted, and
// returns that; ErrNoAnswer when ctx ends first. Errors of read are waited out,
// as the answer may be on its way.
func Await(ctx context.Context, wanted func(Status) bool, read func() (Status, error)) (Status, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := read()
		if err == nil && wanted(s) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return Status{}, fmt.Errorf("%w: %v", ErrNoAnswer, err)
			}
			return Status{}, ErrNoAnswer
		case <-tick.C:
		}
	}
}
