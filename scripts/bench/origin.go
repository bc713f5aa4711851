package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"bottle/pkg/cli"
)

// originVerb is the inner stage that is the origin: a process of its own, so
// that neither the load generator nor a target shares its heap, and so that what
// a direct connection costs it can be told.
const originVerb = "_origin"

// startOrigin lends the sockets of the origin, and in the namespace of its name
// server, to a new process.
func (w *world) startOrigin(inNS bool) error {
	sockets, err := w.sockets(inNS)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, originVerb, w.Theirs.Leaf, w.Theirs.LeafKey, strconv.Itoa(len(sockets)))
	cmd.Stderr, cmd.ExtraFiles = os.Stderr, sockets
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	for _, s := range sockets {
		s.Close()
	}
	if err != nil {
		return err
	}
	w.origin = cmd
	return nil
}

// sockets opens what the origin serves, and notes its address.
func (w *world) sockets(inNS bool) (files []*os.File, err error) {
	add := func(s interface{ File() (*os.File, error) }) {
		if f, e := s.File(); e == nil {
			files = append(files, f)
		} else {
			err = e
		}
	}
	addr := "127.0.0.1:0"
	if inNS {
		addr = "127.0.0.1:443"
		pc, err := net.ListenPacket("udp", "127.0.0.1:53")
		if err != nil {
			return nil, err
		}
		defer pc.Close()
		add(pc.(*net.UDPConn))
	}
	ln, e := net.Listen("tcp", addr)
	if e != nil {
		return nil, e
	}
	defer ln.Close()
	add(ln.(*net.TCPListener))
	w.Addr = ln.Addr().String()
	_, w.Port, _ = net.SplitHostPort(w.Addr)
	// Localhost is ::1 too, where there is IPv6.
	if six, err := net.Listen("tcp", "[::1]:"+w.Port); err == nil && !inNS {
		defer six.Close()
		add(six.(*net.TCPListener))
	}
	return files, err
}

// serveOrigin is the origin's process: CERT KEY N, and N sockets from
// descriptor 3 on. Those for datagrams are the name server's.
func serveOrigin(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 3 {
		return cli.Misused("wanted CERT KEY N")
	}
	n, err := strconv.Atoi(env.Args[2])
	if err != nil {
		return cli.Misused("N: %v", err)
	}
	srv := &http.Server{Handler: pages(), ErrorLog: log.New(io.Discard, "", 0), IdleTimeout: 5 * time.Minute}
	ended := make(chan error, n)
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), "socket")
		if ln, err := net.FileListener(f); err == nil {
			go func() { ended <- srv.ServeTLS(ln, env.Args[0], env.Args[1]) }()
		} else if pc, err := net.FilePacketConn(f); err == nil {
			go func() { ended <- serveNames(pc) }()
		} else {
			return err
		}
		f.Close()
	}
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// smallBody is an answer as a short API call has it.
const smallBody = `{"ok":true,"note":"a small body of the size of a short API answer"}` + "\n"

// pages is what the origin serves.
func pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(smallBody)))
		io.WriteString(w, smallBody)
	})
	mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		// Told, not shown: a proxy may scrub an echo of the credential.
		fmt.Fprint(w, r.Header.Get("Authorization") == "Bearer "+token)
	})
	mux.HandleFunc("/down", serveDown)
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 128<<10))
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/events", serveEvents)
	mux.HandleFunc("/ws", serveWebSocket)
	return mux
}

func serveDown(w http.ResponseWriter, r *http.Request) {
	piece := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(bulkSize))
	for left := bulkSize; left > 0; left -= len(piece) {
		if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
			return
		}
	}
}

// serveEvents sends an event every eventGap, with its number and the time at
// which it was sent, until the client goes.
func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no") // what such services tell nginx
	rc := http.NewResponseController(w)
	tick := time.NewTicker(eventGap)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := fmt.Fprintf(w, "event: message\ndata: %d %d\n\n", n, time.Now().UnixNano()); err != nil || rc.Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// serveNames answers 127.0.0.1 for every name.
func serveNames(pc net.PacketConn) error {
	buf := make([]byte, 1500)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return err
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true, RecursionDesired: m.RecursionDesired, RecursionAvailable: true}, Questions: m.Questions}
		if q.Type == dnsmessage.TypeA {
			answer.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 300},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		if out, err := answer.Pack(); err == nil {
			pc.WriteTo(out, from)
		}
	}
}
