// Hostile is an agent that tries to get out of its bottle: each way that the
// threat model names, and each mistake that one of them came from. It prints a
// line for each attempt,
//
//	blocked<TAB>ROW<TAB>ATTEMPT<TAB>HOW
//	OPEN<TAB>ROW<TAB>ATTEMPT<TAB>WHAT
//	planted<TAB>ROW<TAB>ATTEMPT<TAB>PATH
//
// the last for what only the host can judge, and exits with 1 if one is open.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A world is what the test has put around the bottle, in hostile.json.
type world struct {
	TCP, UDP  []string // what listens on the host
	Abstract  []string // unix sockets of the host's
	Sockets   []string // by path
	Files     []string // of the host's, with a secret in them
	Key       int      // in the operator's session keyring
	Secrets   []string // of which the agent has the mask only, see scan.go
	Protected []string // paths of the workspace
	Masked    []string // files of it with a secret in them
	Local     bool     // the sandbox is the toolkit's own
	Copied    bool     // the workspace, so that what is planted there is held back
	Empty     bool     // the network: addresses that nobody answers on may be tried
	Cores     bool     // the launcher's own limit of core dumps is not 0
	Pids      int      // the bottle's limit
	Beside    int      // processes that the bottle has besides process 1 and this
	Only      []string // rows; for a run outside of a bottle
}

// A row of the threat model. What is harmless where it is not blocked may run
// outside of a bottle, which shows that it would be found open.
type row struct {
	name     string
	try      func(*hostile)
	harmless bool
}

var rows = []row{
	{"identity", (*hostile).identity, false},
	{"descriptors", (*hostile).descriptors, true},
	{"streams", (*hostile).streams, true},
	{"host addresses", (*hostile).hostAddresses, true},
	{"metadata", (*hostile).metadata, false},
	{"names", (*hostile).names, false},
	{"raw network", (*hostile).rawNetwork, false},
	{"network settings", (*hostile).networkSettings, false},
	{"hypervisor", (*hostile).hypervisor, false},
	{"abstract sockets", (*hostile).abstractSockets, true},
	{"path sockets", (*hostile).pathSockets, true},
	{"keyrings", (*hostile).keyrings, true},
	{"kernel", (*hostile).kernel, false},
	{"architectures", (*hostile).architectures, false},
	{"namespaces", (*hostile).namespaces, false},
	{"mounts", (*hostile).mounts, false},
	{"process 1", (*hostile).processOne, false},
	{"proc", (*hostile).proc, false},
	{"devices", (*hostile).devices, false},
	{"terminal", (*hostile).terminal, false},
	{"set-uid", (*hostile).setUID, false},
	{"host files", (*hostile).hostFiles, true},
	{"masks", (*hostile).masks, true},
	{"workspace", (*hostile).workspace, true},
	{"credentials", (*hostile).credentials, true},
	{"proxy", (*hostile).proxy, false},
	{"superviser", (*hostile).superviser, false},
	{"exhaustion", (*hostile).exhaustion, false},
}

func main() {
	if len(os.Args) > 1 {
		os.Exit(helper(os.Args[1]))
	}
	h := &hostile{}
	if err := h.read(); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(2)
	}
	os.Remove("hostile.json")
	runtime.LockOSThread()
	for _, r := range rows {
		if len(h.Only) == 0 || slices.Contains(h.Only, r.name) {
			h.row = r.name
			r.try(h)
		}
	}
	if h.open > 0 {
		os.Exit(1)
	}
}

// hostile is the agent.
type hostile struct {
	world
	row  string
	mu   sync.Mutex
	open int
}

// read reads the world. Outside of a bottle nothing but harmless rows is tried.
func (h *hostile) read() error {
	data, err := os.ReadFile("hostile.json")
	if err == nil {
		err = json.Unmarshal(data, &h.world)
	}
	if err != nil {
		return err
	}
	harmless := len(h.Only) > 0
	for _, r := range rows {
		harmless = harmless && (r.harmless || !slices.Contains(h.Only, r.name))
	}
	if _, err := os.Stat(bottleDir); err != nil && !harmless || os.Geteuid() == 0 {
		return errors.New("not in a bottle, or root; wanted rows that are harmless there")
	}
	return nil
}

// Places in every bottle.
const (
	bottleDir = "/run/bottle"
	superSock = bottleDir + "/supervise.sock"
)

func (h *hostile) say(verdict, attempt string, what any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if verdict == "OPEN" {
		h.open++
	}
	line := strings.Join([]string{verdict, h.row, clean(attempt), clean(fmt.Sprint(what))}, "\t")
	fmt.Println(line)
}

func clean(s string) string { return strings.NewReplacer("\t", " ", "\n", " ").Replace(s) }

// refused is for an attempt that must fail with one of want, or with any error.
func (h *hostile) refused(attempt string, err error, want ...error) {
	ok := err != nil && len(want) == 0
	for _, w := range want {
		ok = ok || errors.Is(err, w)
	}
	if ok {
		h.say("blocked", attempt, err)
		return
	}
	h.say("OPEN", attempt, fmt.Sprintf("got %v; wanted %v", err, want))
}

// holds is for what must be so.
func (h *hostile) holds(attempt string, ok bool, what any) {
	if ok {
		h.say("blocked", attempt, "it is not so")
		return
	}
	h.say("OPEN", attempt, what)
}

// call is a system call.
func call(nr uintptr, args ...uintptr) error {
	_, err := result(nr, args...)
	return err
}

func result(nr uintptr, args ...uintptr) (uintptr, error) {
	var x [6]uintptr
	copy(x[:], args)
	r, _, e := unix.Syscall6(nr, x[0], x[1], x[2], x[3], x[4], x[5])
	if e != 0 {
		return r, e
	}
	return r, nil
}

func text(s string) uintptr { return uintptr(unsafe.Pointer(&append([]byte(s), 0)[0])) }

// here is AT_FDCWD as an argument.
const here = ^uintptr(99)

// again runs this program as a helper and returns how it ended, and what it said.
func again(name string) (syscall.WaitStatus, string) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err.Error()
	}
	defer r.Close()
	p, err := os.StartProcess("/proc/self/exe", []string{"hostile", name}, &os.ProcAttr{Files: []*os.File{nil, w, w}})
	w.Close()
	if err != nil {
		return 0, err.Error()
	}
	said := make([]byte, 4096)
	n, _ := r.Read(said)
	state, err := p.Wait()
	if err != nil {
		return 0, err.Error()
	}
	return state.Sys().(syscall.WaitStatus), strings.TrimSpace(string(said[:n]))
}

// helper is what a child of this program does.
func helper(name string) int {
	switch name {
	case "bomb":
		return bomb()
	case "foreign":
		foreign()
	case "x32":
		x32()
	}
	fmt.Println("it lives")
	return 0
}
