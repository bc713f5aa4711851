// Package sandbox runs one command in Linux namespaces of its own, without
// root, a daemon or another program: an empty network whose only listeners are
// handed to the caller, a file system of which only the workspace is writable
// and kept, and no capability.
//
// The stages, each a new execution of the program's own file:
//
//	launcher   Begin: clones the namespaces, keeps the agent's streams
//	_init      process 1 builds: mounts, listeners; then drops its rights, joins
//	           a keyring of its own, puts on the system call filter, starts _agent
//	_reap      process 1 goes on: self-test, lets the agent go, reaps, signals
//	_agent     the agent's process before it becomes the agent: its limit of
//	           processes, Landlock; waits for the word of _reap; then executes the
//	           command
//	_second    the parent of one more command, for a process that asked the
//	           launcher (second_linux.go)
//
// In a container, where the engine has made the namespaces, the second half of
// this is to be had alone (contained_linux.go, part_linux.go):
//
//	_contained process 1 of the agent's container, as _reap
//	_led       the agent's process, as _agent
//	_confined  the same for one more command
//	_part      process 1 of a container with one of the bottle's own programs
//
// A program that calls Start or Probe must call Stages first in its main.
package sandbox

import (
	"errors"
	"io"
	"os"
)

// Places inside every sandbox.
const (
	Home       = "/home/agent"              // a private tmpfs, $HOME
	RunDir     = "/run/bottle"              // our own files, read-only
	BundleFile = RunDir + "/bundle.pem"     // Config.Bundle
	CAFile     = RunDir + "/ca.pem"         // by convention in Config.Files
	BinDir     = RunDir + "/bin"            // Config.Programs
	Supervise  = RunDir + "/supervise.sock" // by convention in Config.Listen
	ProxyAddr  = "127.0.0.1:9099"           // by convention in Config.Listen
)

// A Listen names one listening socket that is made inside the sandbox's empty
// network, or its file system, and handed out.
type Listen struct {
	Name    string // for Sandbox.Listener
	Network string // "tcp" or "unix"
	Address string // for "unix" a path below RunDir
}

// Config says what one sandbox is. Paths are the host's, absolute.
type Config struct {
	Name      string            // becomes the host name inside
	Args      []string          // the command; Args[0] is looked up in Env's PATH inside
	Env       []string          // the agent's whole environment
	Workspace *Workspace        // from OpenWorkspace; writable at its own path
	ReadOnly  []string          // more host files or folders, shown read-only at their own path
	Files     map[string][]byte // RunDir/NAME
	Home      map[string][]byte // Home/PATH, the agent's own to change
	Programs  map[string]string // RunDir/bin/NAME: a host executable, read-only
	Bundle    []byte            // PEM put over the system's CA store files; none: left alone
	Listen    []Listen
	Pids      uint64 // processes and threads at once; 0 is 1024
	Group     *Group // from FindGroup, holds its limits for all processes together; or nil
	TmpBytes  uint64 // size of each of /tmp and the home; 0 is 2 GiB
	// Terminal gives the agent a terminal of its own, of the size of Stdin,
	// which must be a terminal and is put into raw mode while the agent runs.
	Terminal bool
	Stdin    *os.File  // nil: empty
	Stdout   io.Writer // nil: dropped
	Stderr   io.Writer // nil: dropped; with Terminal only for set-up messages
}

// Limits are for all processes of a sandbox together. Zero is none.
type Limits struct {
	Memory int64  // bytes
	Pids   uint64 // processes and threads
	CPUs   float64
}

// A Check is what must hold inside before the agent starts.
type Check struct {
	// Healthy is a URL that must answer 200 through the proxy; "" asks nothing.
	Healthy string
	// Proxy is HOST:PORT of the proxy; "" is ProxyAddr. A Sandbox has no other.
	Proxy string
	// Reach are addresses, HOST:PORT, that must not be reachable. A Sandbox adds
	// those of the host.
	Reach []string
}

// A Loss is a path of a workspace that was replaced or removed on the host while a
// bottle had it.
type Loss struct {
	Path string // below the workspace
	// Told is of those that are only protected where they are there: what an agent
	// makes of these is told, too, and not prevented.
	Told bool
}

// A Trial is one thing that the self-test tried inside before the agent started,
// and that did not work, as it must not; or what the agent's process was found to
// have given up.
type Trial struct {
	What   string  `json:"what"`         // "host", "name", "socket", "rights"
	Result string  `json:"result"`       // "refused", "none"
	Count  int     `json:"count"`        // of addresses, of name servers
	Millis float64 `json:"ms,omitempty"` // for all of them, at once
	Detail string  `json:"detail"`
}

// Errors of Start, Go and Wait that callers tell apart.
var (
	// ErrUnsupported: this system or its settings have no such sandbox.
	ErrUnsupported = errors.New("the local backend does not work here")
	// ErrLost: the sandbox ended without an exit code of the agent's.
	ErrLost = errors.New("the sandbox was ended from outside")
)

// CannotStart is the exit code Wait returns when the agent's process could not
// be prepared, as env(1) and docker use it. A command that was found but is not
// executable gives 126, one that was not found 127.
const CannotStart = 125

const (
	defaultPids     = 1024
	defaultTmpBytes = 2 << 30
)
