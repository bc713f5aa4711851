package sandbox

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"os"
)

// spec is what the launcher tells _init at its start, through a sealed file
// that _init inherits. Fields named Fd are descriptors that it inherits.
type spec struct {
	Probe     bool // only find out what works
	Name      string
	Workspace source
	Covered   []string // below the workspace, read-only
	Masked    []string // below the workspace, empty
	ReadOnly  []source
	Sockets   []string // of the system, to be covered: _init finds them
	Files     map[string][]byte
	Home      map[string][]byte
	Programs  map[string]source
	BundleFd  int    // a sealed file: a third of a megabyte, too much for this one; 0: none
	Passwd    []byte // put over /etc/passwd; empty: left alone
	Listen    []Listen
	Terminal  bool
	Rows      uint16
	Cols      uint16
	TmpBytes  uint64
	Grouped   bool // wait until process 1 is in its control group
	Agent     agentSpec
}

// agentSpec is what _init tells _agent.
type agentSpec struct {
	Args     []string
	Env      []string
	Dir      string
	Umask    int
	Pids     uint64
	Grouped  bool // in a control group, where it is to go before process 1
	Terminal bool
}

// A source is a host file or folder: its path, and for a launcher that is root
// a detached mount of it, since the agent's identity may not reach the path.
type source struct {
	Path     string
	Fd       int    // 0: by path
	Dev, Ino uint64 // what must be there; 0: anything
}

// Descriptors that a stage inherits.
const (
	controlFd  = 3 // _init, _reap: their end of the socket pair
	specFd     = 4 // _init: a spec; _reap: a reapSpec
	firstFd    = 5 // _init: sources
	preparedFd = 5 // _reap: to the process that is to become the agent
	agentFd    = 3 // _agent: an agentSpec
	releaseFd  = 4 // _agent: its end of that, see prepare
)

// specFile puts v into a file for a stage to inherit. Not as JSON, whose strings are
// Unicode: a path, an argument and a variable hold any bytes, and one mask for two
// folders whose names differ in such bytes alone is one too few.
func specFile(v any) (*os.File, error) {
	var data bytes.Buffer
	if err := gob.NewEncoder(&data).Encode(v); err != nil {
		return nil, err
	}
	return memfile("spec", data.Bytes())
}

// readSpec reads a stage's inherited file into v and closes it.
func readSpec(fd int, v any) error {
	f := os.NewFile(uintptr(fd), "spec")
	defer f.Close()
	if err := gob.NewDecoder(io.NewSectionReader(f, 0, 1<<30)).Decode(v); err != nil {
		return fmt.Errorf("spec: %w", err)
	}
	return nil
}
