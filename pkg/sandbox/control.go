package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

// A message goes between launcher and process 1, or between whoever asked for a
// second command and _second. Both ends are our own program; the agent has neither.
type message struct {
	Kind  string   `json:"kind"`
	Text  string   `json:"text,omitempty"`  // of "error"
	Names []string `json:"names,omitempty"` // of "ready": what the descriptors are
	Code  int      `json:"code,omitempty"`  // of "exit" the code, of "signal" its number
	// Of "started": Code is the exit code of a command that could not be executed.
	Trials []Trial `json:"trials,omitempty"`
	// Of "stopped":
	Terminal bool `json:"terminal,omitempty"`
	// Of "go":
	Healthy string   `json:"healthy,omitempty"`
	Proxy   string   `json:"proxy,omitempty"` // HOST:PORT; "" is ProxyAddr
	Reach   []string `json:"reach,omitempty"` // host addresses that must not answer
}

// The kinds. From _init: ready or error, then started or error, then any number
// of stopped, then exit. From the launcher: placed, if there is a control group, go, then any number of signal and
// second. _second says ready with a terminal, then as process 1 from started on.
const (
	kindReady   = "ready"
	kindError   = "error"
	kindGo      = "go"
	kindStarted = "started"
	kindStopped = "stopped"
	kindExit    = "exit"
	kindSignal  = "signal"
	kindPlaced  = "placed" // to _init: process 1 is in its control group
	kindSecond  = "second" // with the descriptors of one, see second_linux.go
	kindHeard   = "heard"  // to _second, and with a group: the exit code has come
	kindUp      = "up"     // of a part: all that it has to do with others is done
	kindGone    = "gone"   // of a relay: the other side has ended
)

const maxMessage = 64 << 10

// A control is the connection between a launcher and process 1: a socket pair
// that also carries descriptors (wire), or lines over whatever leads into a
// container.
type control interface {
	send(m message, files ...*os.File) error
	receive() (message, []*os.File, error)
}

// sendSignal has process 1, or _second, send sig to its command.
func sendSignal(ctl control, sig os.Signal) error {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal %v: not a number", sig)
	}
	return ctl.send(message{Kind: kindSignal, Code: int(n)})
}

// lines is a control over two streams: one message a line.
type lines struct {
	r  *bufio.Reader
	mu sync.Mutex
	w  io.Writer
}

func newLines(r io.Reader, w io.Writer) *lines {
	return &lines{r: bufio.NewReaderSize(r, maxMessage), w: w}
}

func (l *lines) send(m message, files ...*os.File) error {
	if len(files) > 0 {
		return errors.New("lines carry no descriptors")
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(data) >= maxMessage {
		return fmt.Errorf("control message of %d bytes; wanted at most %d", len(data), maxMessage)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.w.Write(append(data, '\n'))
	return err
}

func (l *lines) receive() (m message, _ []*os.File, err error) {
	line, err := l.r.ReadSlice('\n')
	if err != nil {
		return m, nil, err // a line without an end is none; one too long is bufio.ErrBufferFull
	}
	return m, nil, json.Unmarshal(bytes.TrimSpace(line), &m)
}
