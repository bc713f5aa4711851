package sandbox

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func parsePart(args []string) (p Part, err error) {
	fs := flag.NewFlagSet(stagePart, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&p.Fd, "fd", "", "")
	fs.StringVar(&p.Lend, "lend", "", "")
	fs.StringVar(&p.Relay, "relay", "", "")
	fs.StringVar(&p.Canary, "canary", "", "")
	fs.StringVar(&p.Next, "next", "", "")
	if err := fs.Parse(args); err != nil {
		return p, err
	}
	if p.Command = fs.Args(); len(p.Command) == 0 {
		return p, errors.New("no program")
	}
	return p, nil
}

// runningPart is a part with its program.
type runningPart struct {
	Part
	signals chan os.Signal
	told    bool // the launcher knows that it runs
	fd      *os.File

	// Held from before a start until pid is known, since the program runs earlier:
	// what is sent to it meanwhile waits, and is not lost.
	mu     sync.Mutex
	pid    int  // of the program, 0 before the first start and after the last
	again  bool // it is to be started anew when it has ended
	ending bool // never again: the launcher is gone, or wants the end
}

// partMain is the stage _part.
func partMain(args []string) int {
	r := &runningPart{signals: make(chan os.Signal, 16)}
	// First of all: process 1 without a handler ignores some and dies of others.
	signal.Notify(r.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if err == nil {
		r.Part, err = parsePart(args)
	}
	if err == nil {
		err = r.join()
	}
	if err == nil {
		var code int
		if code, err = r.run(); err == nil {
			return code
		}
	}
	fmt.Fprintf(os.Stderr, "bottle: %v\n", err)
	return CannotStart
}

// join makes the connections to the bottle's other containers.
func (r *runningPart) join() error {
	in := io.Writer(io.Discard)
	if r.Relay != "" {
		relay, err := listenRelay(r.Relay)
		if err != nil {
			return err
		}
		go relay.copyOut(os.Stdout)
		in = relay
	}
	if r.Canary != "" {
		ln, err := net.Listen("tcp", ":"+r.Canary)
		if err != nil {
			return err
		}
		in = closer{ln}
	}
	go func() {
		io.Copy(in, os.Stdin)
		r.end(r.stop())
	}()
	if addr, path, ok := strings.Cut(r.Lend, "="); ok {
		if err := lendTo(addr, path); err != nil {
			return err
		}
	}
	if r.Fd == "" {
		return nil
	}
	f, err := partListener(r.Fd)
	r.fd = f
	return err
}

// closer closes the canary at the first word.
type closer struct{ ln net.Listener }

func (c closer) Write(p []byte) (int, error) {
	c.ln.Close()
	return len(p), nil
}

// endTime is how long a program may take to end once its launcher is gone.
const endTime = 3 * time.Second

// now is the program's process id.
func (r *runningPart) now() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pid
}

// stop sees to it that the program is not started anew, and returns its process id.
func (r *runningPart) stop() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
	return r.pid
}

// end ends the program, by force after a while.
func (r *runningPart) end(pid int) {
	if pid == 0 {
		os.Exit(CannotStart) // it waits for another container
	}
	unix.Kill(pid, unix.SIGTERM)
	for late := time.Now().Add(endTime); r.now() == pid; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			unix.Kill(pid, unix.SIGKILL)
			return
		}
	}
}

// run runs the program, as often as asked to, and reaps. It returns the exit
// code of the last run.
func (r *runningPart) run() (int, error) {
	// The parent of PR_SET_PDEATHSIG is this thread. In a container all die with
	// process 1 anyhow.
	runtime.LockOSThread()
	r.mu.Lock()
	go r.obey()
	for {
		pid, err := r.start()
		r.pid = pid
		r.mu.Unlock()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", r.Command[0], err)
		}
		if r.Relay != "" && !r.told {
			newLines(nil, os.Stdout).send(message{Kind: kindUp}) // nobody else writes there yet
			r.told = true
		}
		code := reapUntil(pid)
		r.mu.Lock()
		if r.pid = 0; r.ending || !r.again {
			r.mu.Unlock()
			return code, nil
		}
		r.again = false
	}
}

// start starts the program and returns its process id.
func (r *runningPart) start() (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), 1, 2}
	if r.Relay != "" {
		files[1] = 2 // standard output is the relay's
	}
	if r.fd != nil {
		files = append(files, r.fd.Fd())
	}
	return syscall.ForkExec(r.Command[0], r.Command, &syscall.ProcAttr{
		Files: files, Env: os.Environ(), Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
}

// reapUntil waits for every process that is given to process 1, until pid ends.
func reapUntil(pid int) int {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return CannotStart
		case got == pid:
			return exitCode(ws)
		}
	}
}

// obey carries out the signals that the operator's tools send.
func (r *runningPart) obey() {
	for sig := range r.signals {
		pid := r.now()
		switch {
		case pid == 0:
		case r.Next != "" && (sig == syscall.SIGHUP || sig == syscall.SIGUSR1):
			r.renew(pid, sig)
		case sig == syscall.SIGTERM, sig == syscall.SIGINT:
			r.stop()
			unix.Kill(pid, unix.SIGTERM)
		default:
			unix.Kill(pid, sig.(syscall.Signal))
		}
	}
}

// renew takes up the next file, and has the program read it.
func (r *runningPart) renew(pid int, sig os.Signal) {
	if err := os.Rename(r.Next+".next", r.Next); err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "bottle: %v\n", err)
		return
	}
	if sig == syscall.SIGHUP {
		unix.Kill(pid, unix.SIGHUP)
		return
	}
	r.mu.Lock()
	r.again = r.pid == pid
	r.mu.Unlock()
	r.end(pid)
}
