//go:build !linux

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A Sandbox is a running one; this system has none.
type Sandbox struct{}

// A Workspace is a checked workspace; this system has none.
type Workspace struct{ Path string }

// A Policy says what OpenWorkspace lets pass.
type Policy struct {
	Force       bool
	Writable    []string
	Keep        []string
	Mask, Show  []string
	ShowSecrets bool
	Hidden      []string
	Dry         bool
	Getenv      func(string) string
	Park        string
}

// Begin does nothing.
func (*Policy) Begin(string) {}

var errOther = fmt.Errorf("%w: it needs Linux namespaces\nhint: run it in a Linux virtual machine", ErrUnsupported)

// Stages does nothing: this system has no stages.
func Stages() {}

// Probe says that this system has no sandbox and what would help.
func Probe() error { return errOther }

// OpenWorkspace is Probe's error.
func OpenWorkspace(string, Policy) (*Workspace, error) { return nil, errOther }

// CleanWorkspace has nothing to clean.
func CleanWorkspace(string) error { return nil }

// Close has nothing to close.
func (w *Workspace) Close() {}

// Watch sees nothing.
func (w *Workspace) Watch() (losses <-chan Loss, stop func()) { return nil, func() {} }

// Notes has none.
func (w *Workspace) Notes() []string { return nil }

// Covered is empty.
func (w *Workspace) Covered() []string { return nil }

// Missing is empty.
func (w *Workspace) Missing() []string { return nil }

// Planted is empty.
func (w *Workspace) Planted() []string { return nil }

// Swaps lists nothing.
func (w *Workspace) Swaps() func() []string { return func() []string { return nil } }

// Repository has none.
func (w *Workspace) Repository() bool { return false }

// Masked is empty.
func (w *Workspace) Masked() []string { return nil }

// Tracked is empty.
func (w *Workspace) Tracked() []string { return nil }

// Idle is empty.
func (w *Workspace) Idle() []string { return nil }

// A Group is a control group; this system has none.
type Group struct{}

// FindGroup is Probe's error.
func FindGroup(string, Limits, func(string) string) (*Group, error) { return nil, errOther }

// MemoryLimits is Probe's error.
func MemoryLimits(func(string) string) (string, error) { return "", errOther }

// Dir is empty.
func (g *Group) Dir() string { return "" }

// String is empty.
func (g *Group) String() string { return "" }

// Lacking is empty.
func (g *Group) Lacking() []string { return nil }

// Remove has nothing to remove.
func (g *Group) Remove() error { return nil }

// RemoveGroup has nothing to remove.
func RemoveGroup(string) error { return nil }

// Start is Probe's error.
func Start(Config) (*Sandbox, error) { return nil, errOther }

// Begin is Probe's error.
func Begin(Config) (*Sandbox, error) { return nil, errOther }

// Built is Probe's error.
func (s *Sandbox) Built() error { return errOther }

// Settle does nothing.
func Settle() (stop func()) { return func() {} }

// Listener is nil.
func (s *Sandbox) Listener(string) *os.File { return nil }

// Pid is 0.
func (s *Sandbox) Pid() int { return 0 }

// Go is Probe's error.
func (s *Sandbox) Go(Check) error { return errOther }

// Ended is nil.
func (s *Sandbox) Ended() <-chan struct{} { return nil }

// Refused is 0.
func (s *Sandbox) Refused() int { return 0 }

// Killed is 0.
func (s *Sandbox) Killed() int { return 0 }

// Wait is Probe's error.
func (s *Sandbox) Wait() (int, error) { return CannotStart, errOther }

// Signal is Probe's error.
func (s *Sandbox) Signal(os.Signal) error { return errOther }

// Abandon does nothing.
func (s *Sandbox) Abandon() {}

// Kill does nothing.
func (s *Sandbox) Kill() {}

// Tested is empty.
func (s *Sandbox) Tested() []Trial { return nil }

// Serve is Probe's error.
func (s *Sandbox) Serve(string) error { return errOther }

// A Command is one more for a sandbox that runs; this system has none.
type Command struct {
	Args     []string
	Terminal bool
	Term     string
	Stdin    *os.File
	Stdout   io.Writer
	Stderr   io.Writer
}

// A Second is a second command that runs; this system has none.
type Second struct{}

// ErrNotServed is never returned.
var ErrNotServed = errors.New("its launcher takes no second command now")

// Enter is Probe's error.
func Enter(string, Command) (*Second, error) { return nil, errOther }

// Wait is Probe's error.
func (s *Second) Wait() (int, error) { return CannotStart, errOther }

// Signal is Probe's error.
func (s *Second) Signal(os.Signal) error { return errOther }

// StartTied starts cmd. Without PDEATHSIG it is not tied to this process.
func StartTied(cmd *exec.Cmd) (<-chan error, error) {
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	return done, nil
}

// OpenCanaries is Probe's error.
func OpenCanaries() ([]string, func(), error) { return nil, func() {}, errOther }

// BareRepository is empty.
func BareRepository() []string { return nil }

// Replaced is empty.
func (sb *Sandbox) Replaced() []string { return nil }
