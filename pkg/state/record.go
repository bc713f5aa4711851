package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"bottle/pkg/atomicfile"

	"golang.org/x/sys/unix"
)

// Record is what a launcher says of its bottle, so that the operator's tools
// find the parts and a killed launcher's leavings can be told.
type Record struct {
	Name      string          `json:"name"`
	Backend   string          `json:"backend"`
	Started   time.Time       `json:"started"`
	Boot      string          `json:"boot"` // boot_id; process numbers of another boot mean nothing
	Launcher  Part            `json:"launcher"`
	Parts     map[string]Part `json:"parts"`           // egress-proxy, superviser, pipelock, agent
	Slots     []string        `json:"slots,omitempty"` // credentials the proxy was started with
	Workspace string          `json:"workspace,omitempty"`
	Command   []string        `json:"command,omitempty"`
	ProxyURL  string          `json:"proxy_url,omitempty"` // as the agent sees it
	Group     string          `json:"cgroup,omitempty"`    // folder of a control group that the launcher removes at the end
	ID        string          `json:"id,omitempty"`        // backend docker: the label bottle.id of its objects
	Engine    *Engine         `json:"engine,omitempty"`    // backend docker: where the parts are
	SelfTest  *SelfTest       `json:"self_test,omitempty"` // once the agent has started
}

// SelfTest is what was tried inside before the agent started. Whatever did not fail
// as it must has refused the start.
type SelfTest struct {
	At     time.Time `json:"at"`
	Trials []Trial   `json:"trials"`
}

// A Trial is one row of it, as pkg/sandbox has it.
type Trial struct {
	What   string  `json:"what"`
	Result string  `json:"result"`
	Count  int     `json:"count"`
	Millis float64 `json:"ms,omitempty"`
	Detail string  `json:"detail"`
}

// Engine is how to reach the container engine of a bottle again, from any shell.
type Engine struct {
	Program string `json:"program,omitempty"` // the command line; "" is docker
	Context string `json:"context,omitempty"`
	Host    string `json:"host,omitempty"` // as in DOCKER_HOST
}

// Save writes r whole to the bottle's record.
func (d Dir) Save(r Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Swap(d.Record(), append(data, '\n'), 0o600) // names processes: nothing after a power cut
}

// Load reads the bottle's record; errors.Is(err, os.ErrNotExist) when there is none.
func (d Dir) Load() (Record, error) {
	var r Record
	data, err := os.ReadFile(d.Record())
	if err != nil {
		return r, err
	}
	if len(data) == 0 { // of a power cut: see Save
		return r, &os.PathError{Op: "open", Path: d.Record(), Err: os.ErrNotExist}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("%s: %v; wanted the record of a bottle\nhint: stop its processes and remove the folder %s", d.Record(), err, d)
	}
	return r, nil
}

// ErrRunning says that a launcher holds the bottle.
var ErrRunning = errors.New("the bottle is running")

// Hold takes the bottle for its launcher until release is called or the process
// ends, however it ends: the kernel drops a flock(2) with its last descriptor.
// It is ErrRunning when another process holds it.
func (d Dir) Hold() (release func(), err error) {
	f, err := lockFile(d.Lock(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrRunning
	}
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Running reports whether a launcher holds the bottle.
func (d Dir) Running() bool {
	f, err := os.Open(d.Lock())
	if err != nil {
		return false
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	return errors.Is(err, unix.EWOULDBLOCK)
}

// HoldApply waits for the right to change the bottle's table, so that two
// changes come one after the other. It looks again and again, since a flock(2)
// that waits does not end with ctx: whoever holds the lock may have been stopped.
func (d Dir) HoldApply(ctx context.Context) (release func(), err error) {
	for {
		f, err := lockFile(d.ApplyLock(), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: held by another process: %w", d.ApplyLock(), ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Boot is this boot's id (random(4): /proc/sys/kernel/random/boot_id).
func Boot() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}
