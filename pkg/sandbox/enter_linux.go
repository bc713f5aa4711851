package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A Command is one more for a sandbox that runs.
type Command struct {
	Args     []string
	Terminal bool     // as Config's
	Term     string   // TERM of the terminal, in the place of the agent's
	Stdin    *os.File // nil: empty
	Stdout   io.Writer
	Stderr   io.Writer
}

// A Second is a second command that runs. It ends with the process that called
// Enter, and with the sandbox.
type Second struct {
	asked   *net.UnixConn // to the launcher, which counts us by it
	ctl     *wire         // to _second
	streams *streams
	exit    chan int
}

// ErrNotServed: nobody takes requests at that path, as before the agent's start
// and after its end.
var ErrNotServed = errors.New("its launcher takes no second command now")

// Enter has c started in the sandbox whose launcher serves at path.
func Enter(path string, c Command) (*Second, error) {
	s := &Second{exit: make(chan int, 1)}
	err := s.enter(path, c)
	if err != nil {
		s.close()
		return nil, err
	}
	go hear(s.ctl, s.streams, s.exit)
	return s, nil
}

func (s *Second) enter(path string, c Command) (err error) {
	if s.asked, err = askLauncher(path); err != nil {
		return err
	}
	if s.streams, err = openStreams(c.Stdin, c.Stdout, c.Stderr, c.Terminal); err != nil {
		return err
	}
	if err := s.request(c); err != nil {
		return err
	}
	var master *os.File
	if c.Terminal {
		_, files, err := s.ctl.await(kindReady, startTimeout)
		if err != nil {
			return err
		}
		if len(files) != 1 {
			closeAll(files)
			return fmt.Errorf("%d descriptors from the sandbox; wanted a terminal", len(files))
		}
		master = files[0]
		s.streams.master = master
	}
	if _, _, err := s.ctl.await(kindStarted, startTimeout); err != nil {
		return err
	}
	return s.streams.relay(master)
}

func askLauncher(path string) (*net.UnixConn, error) {
	addr, done, err := socketAt(path)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := net.DialUnix(addr.Net, nil, addr)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, ErrNotServed
	}
	return c, err
}

// request sends the sandbox's ends of the wire and the streams.
func (s *Second) request(c Command) error {
	ctl, theirs, err := newWires()
	if err != nil {
		return err
	}
	s.ctl = ctl
	defer theirs.Close()
	q, err := specFile(request{Args: c.Args, Terminal: c.Terminal, Rows: s.streams.rows, Cols: s.streams.cols, Term: c.Term})
	if err != nil {
		return err
	}
	defer q.Close()
	defer s.streams.handedOver()
	launcher := &wire{s.asked}
	if err := launcher.send(message{Kind: kindSecond}, append([]*os.File{theirs, q}, s.streams.theirs...)...); err != nil {
		return err
	}
	_, files, err := launcher.await(kindStarted, startTimeout)
	closeAll(files)
	return err
}

// Wait waits for the command's end, and returns its exit code as Sandbox.Wait
// does. What it left running goes on until the sandbox ends. ErrLost: the sandbox
// has ended, and the command with it.
func (s *Second) Wait() (int, error) {
	code, ok := <-s.exit
	if ok {
		s.ctl.send(message{Kind: kindHeard})
	}
	s.streams.settle()
	s.streams.finish()
	s.close()
	if !ok {
		return CannotStart, ErrLost
	}
	return code, nil
}

// Signal sends sig to the command.
func (s *Second) Signal(sig os.Signal) error { return sendSignal(s.ctl, sig) }

func (s *Second) close() {
	if s.streams != nil {
		s.streams.close()
	}
	if s.ctl != nil {
		s.ctl.c.Close()
	}
	if s.asked != nil {
		s.asked.Close()
	}
}
