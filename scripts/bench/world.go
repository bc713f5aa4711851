package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
)

// token is the credential that targets are to add for the origin's host.
const token = "bench-token-0123456789abcdef"

// A world is what every target of a run finds. The exported fields are for the
// templates in conf/.
type world struct {
	Run  string // the folder of the run
	Host string // the known host; its route has the credential
	Many string // each name below is a host that nobody has seen; "" has none
	Port string // of either
	Addr string // of the origin, for a proxy that is told where to go

	// Proxies sign with Ours and trust Theirs: two authorities, so that who
	// verifies nothing, or is gone round, is noticed.
	Ours, Theirs *authority

	origin *exec.Cmd
	unseen atomic.Int64
}

// newWorld makes the world and starts its origin. Without namespaces the one
// name that leads to loopback everywhere is localhost. A nil world with an
// error says that the namespaces cannot be used.
func newWorld(inNS bool) (*world, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	w := &world{Run: dir, Host: "localhost"}
	if inNS {
		w.Host, w.Many = "origin.bench.test", "many.bench.test"
		if err := settle(dir, w.Host); err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
	}
	os.Chmod(dir, 0o755) // squid does not read it as root
	names := []string{w.Host}
	if w.Many != "" {
		names = append(names, "*."+w.Many)
	}
	w.Ours, err = newAuthority(dir, "proxies", names)
	if err == nil {
		w.Theirs, err = newAuthority(dir, "origin", names)
	}
	if err == nil {
		err = w.startOrigin(inNS)
	}
	if err != nil {
		w.end()
		return w, err
	}
	return w, nil
}

// end ends the origin and removes the folder.
func (w *world) end() {
	if w.origin != nil {
		w.origin.Process.Kill()
		w.origin.Wait()
	}
	os.RemoveAll(w.Run)
}

// newHost returns a name that no target has been asked for.
func (w *world) newHost() string { return fmt.Sprintf("h%d.%s", w.unseen.Add(1), w.Many) }

// freePort is a port of loopback that nobody listens on.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}
