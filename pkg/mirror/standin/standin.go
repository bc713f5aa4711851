package standin

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"bottle/pkg/ca"
)

// Main is the program pipelock: run -c FILE [--listen ADDR], check -c FILE, and
// healthcheck [--addr ADDR]. It returns the exit code: 0 for a yes and after
// TERM, 1 for a configuration or an address that cannot be used.
func Main() int {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: pipelock run|check|healthcheck")
		return 1
	}
	fs := flag.NewFlagSet("pipelock", flag.ContinueOnError)
	var path, listen, addr string
	fs.StringVar(&path, "c", "", "")
	fs.StringVar(&path, "config", "", "")
	fs.StringVar(&listen, "listen", "", "")
	fs.StringVar(&addr, "addr", "127.0.0.1:8888", "")
	if err := fs.Parse(os.Args[2:]); err != nil {
		return 1
	}
	var err error
	switch os.Args[1] {
	case "run":
		err = run(path, listen)
	case "check":
		if _, err = load(path); err == nil {
			fmt.Println("Config validation: OK")
		}
	case "healthcheck":
		err = healthcheck(addr)
	default:
		err = fmt.Errorf("unknown command %q for \"pipelock\"", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	return 0
}

func healthcheck(addr string) error {
	resp, err := (&http.Client{Timeout: 3 * time.Second}).Get("http://" + addr + "/health")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// run serves until TERM or INT. There is no drain: tunnels are cut, as the real
// one cuts them.
func run(path, listen string) error {
	// Both before the first line, for which scripts wait to signal or edit.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	seen := stamp(path)
	c, err := load(path)
	if err != nil {
		return err
	}
	authority, err := c.loadAuthority(path)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = c.FetchProxy.Listen
	}
	s := &server{path: path, stdout: os.Stdout, stderr: os.Stderr, hosts: hostTable(os.Getenv("STANDIN_HOSTS")), resolves: os.Getenv("STANDIN_HOSTS") == "system"}
	s.authority.Store(authority)
	s.config.Store(c)
	// The line comes before the listener, as it does there: it is no readiness.
	s.log(event{Level: "info", Event: "startup", Listen: listen, Mode: c.Mode, Hash: c.hash, Message: "pipelock started"})
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go s.watch(ctx, hup, seen)
	srv := &http.Server{Handler: s}
	go func() {
		<-ctx.Done()
		srv.Close()
	}()
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	s.log(event{Level: "info", Event: "shutdown", Message: "pipelock stopped"})
	return nil
}

// A server is one running pipelock.
type server struct {
	path           string
	stdout, stderr io.Writer
	hosts          map[string]netip.AddrPort
	resolves       bool // by the system what is not in hosts
	config         atomic.Pointer[config]
	authority      atomic.Pointer[ca.Authority] // nil without interception
	logMu          sync.Mutex
	requests       atomic.Int64
	rate           rate

	lastHash   string // of the last reload, read and written by watch alone
	lastReload time.Time
}

// hostTable reads "name=address,…".
//
// An address with a port stands for that port whichever was asked for, so that
// a test's origin need not have 443.
func hostTable(s string) map[string]netip.AddrPort {
	t := map[string]netip.AddrPort{}
	for _, pair := range strings.Split(s, ",") {
		name, addr, _ := strings.Cut(pair, "=")
		if a, err := netip.ParseAddr(addr); err == nil {
			t[name] = netip.AddrPortFrom(a, 0)
		} else if ap, err := netip.ParseAddrPort(addr); err == nil {
			t[name] = ap
		}
	}
	return t
}

// A rate counts the CONNECTs of a minute by base domain: the last two labels.
type rate struct {
	mu    sync.Mutex
	since time.Time
	count map[string]int
}

// reset begins a new minute.
func (r *rate) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since = time.Time{}
}

func (r *rate) exceeded(host string, limit int) bool {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	base := strings.Join(labels[max(0, len(labels)-2):], ".")
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.since) > time.Minute {
		r.since, r.count = time.Now(), map[string]int{}
	}
	r.count[base]++
	return r.count[base] > limit
}

func (s *server) health(w http.ResponseWriter) {
	c := s.config.Load()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"status": "healthy", "version": "stand-in", "mode": c.Mode,
		"forward_proxy_enabled": c.ForwardProxy.Enabled, "tls_interception_enabled": c.TLSInterception.Enabled, "kill_switch_active": false})
}
