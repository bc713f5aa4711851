package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestExitCodes(t *testing.T) {
	needsSandbox(t)
	w := newWorkspace(t, Policy{})
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"own code", []string{"sh", "-c", "exit 42"}, 42},
		{"success", []string{"true"}, 0},
		{"killed", []string{"sh", "-c", "kill -9 $$"}, 137},
		{"terminated", []string{"sh", "-c", "kill $$"}, 143},
		{"not found", []string{"no-such-program"}, 127},
		{"no such path", []string{"/no/such/program"}, 127},
		{"not executable", []string{"/etc/hostname"}, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := run(t, config(t, w, c.args...))
			if code != c.want {
				t.Errorf("code %d, want %d; stderr %q", code, c.want, stderr)
			}
		})
	}
}

func TestStreams(t *testing.T) {
	needsSandbox(t)
	w := newWorkspace(t, Policy{})
	r, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(in, strings.Repeat("line\n", 1<<16))
		in.Close()
	}()
	cfg := config(t, w, "sh", "-c", "wc -l; echo to stderr >/dev/stderr; head -c 1000000 /dev/zero | tr '\\0' x")
	cfg.Stdin = r
	code, stdout, stderr := run(t, cfg)
	if code != 0 || !strings.HasPrefix(stdout, "65536\n") || len(stdout) != 6+1000000 || stderr != "to stderr\n" {
		t.Errorf("code %d, %d bytes %.20q, stderr %q", code, len(stdout), stdout, stderr)
	}
}

func TestNoStdinIsEmpty(t *testing.T) {
	needsSandbox(t)
	if code, out, _ := run(t, config(t, newWorkspace(t, Policy{}), "cat")); code != 0 || out != "" {
		t.Errorf("code %d, %q", code, out)
	}
}

func TestSignalsReachTheAgent(t *testing.T) {
	needsSandbox(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, newWorkspace(t, Policy{}), "sh", "-c", "trap 'echo got; exit 9' USR1; echo up; while :; do sleep 0.05; done")
	cfg.Stdout = w
	sb, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Go(Check{}); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(r)
	if l, _ := lines.ReadString('\n'); l != "up\n" {
		t.Fatal(l)
	}
	if err := sb.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if code, err := sb.Wait(); code != 9 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
}

func TestKill(t *testing.T) {
	needsSandbox(t)
	sb, err := Start(config(t, newWorkspace(t, Policy{}), "sh", "-c", "trap '' TERM; sleep 300"))
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Go(Check{}); err != nil {
		t.Fatal(err)
	}
	sb.Kill()
	if _, err := sb.Wait(); !errors.Is(err, ErrLost) {
		t.Errorf("got %v; want ErrLost", err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	needsSandbox(t)
	code, out, _ := run(t, config(t, newWorkspace(t, Policy{}), "sh", "-c",
		"for i in 1 2 3 4 5; do setsid sh -c 'sleep 0.05' & done; sleep 0.5; grep -l 'State:.Z' /proc/[0-9]*/status; exit 0"))
	if code != 0 || out != "" {
		t.Errorf("code %d; zombies: %s", code, out)
	}
}

func TestProcessLimit(t *testing.T) {
	needsSandbox(t)
	cfg := config(t, newWorkspace(t, Policy{}), "bash", "-c", "for i in {1..60}; do sleep 2 & done 2>/dev/null; jobs -p | wc -l; kill $(jobs -p)")
	cfg.Pids = 30
	cfg.Env = append(cfg.Env, "BASH_ENV=")
	_, out, _ := run(t, cfg)
	if n, _ := strconv.Atoi(strings.TrimSpace(out)); n >= 60 {
		t.Errorf("%d processes with a limit of 30", n)
	}
}

// TestListeners: what listens inside is served from outside.
func TestListeners(t *testing.T) {
	needsSandbox(t)
	cfg := config(t, newWorkspace(t, Policy{}), testAgent("dial")...)
	cfg.Listen = []Listen{{"tcp", "tcp", ProxyAddr}, {"unix", "unix", Supervise}}
	var out bytes.Buffer
	cfg.Stdout = &out
	sb, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tcp", "unix"} {
		l, err := net.FileListener(sb.Listener(name))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "outside "+name+"\n") }))
	}
	if err := sb.Go(Check{Healthy: "http://anything.invalid/"}); err != nil {
		t.Fatal(err)
	}
	if code, err := sb.Wait(); code != 0 || err != nil || out.String() != "outside tcp\noutside unix\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
}

func dial([]string) int {
	for _, a := range [][2]string{{"tcp", ProxyAddr}, {"unix", Supervise}} {
		c := http.Client{Transport: &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial(a[0], a[1]) }}}
		res, err := c.Get("http://x/")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		io.Copy(os.Stdout, res.Body)
		res.Body.Close()
	}
	return 0
}

// TestSelfTestRefuses: a name server that answers inside refuses the start. It
// is one that the test puts there.
func TestSelfTestRefuses(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		buf := make([]byte, 512)
		n, from, err := c.ReadFrom(buf)
		if err == nil {
			c.WriteTo(buf[:n], from)
		}
	}()
	if !answered(c.LocalAddr().String(), "x.invalid") {
		t.Error("an answer was not noticed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := selfTest([]string{l.Addr().String()}); err == nil || !strings.Contains(err.Error(), "can be reached") {
		t.Errorf("got %v", err)
	}
}

// TestTrust: every tool finds the bundle, also one that reads no variable.
func TestTrust(t *testing.T) {
	needsSandbox(t)
	cfg := config(t, newWorkspace(t, Policy{}), "sh", "-c", "cat "+BundleFile+"; for f in "+strings.Join(trustStores, " ")+"; do [ -e $f ] && cat $f; done; exit 0")
	cfg.Bundle = []byte("the bundle\n")
	_, out, _ := run(t, cfg)
	n := 1
	for _, f := range trustStores {
		if _, err := os.Stat(f); err == nil {
			n++
		}
	}
	if out != strings.Repeat("the bundle\n", n) {
		t.Errorf("got %q; want the bundle %d times", out, n)
	}
}

// TestProcessOneIsShut: what process 1 starts is filtered from its first
// instruction, and has no capability to gain.
func TestProcessOneIsShut(t *testing.T) {
	needsSandbox(t)
	sb, err := Start(config(t, newWorkspace(t, Policy{}), "true"))
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Abandon()
	path := fmt.Sprintf("/proc/%d/status", sb.Pid())
	eventually(t, "process 1 with a filter and without capabilities", func() bool {
		status := readSetting(path)
		return strings.Contains(status, "\nSeccomp:\t2\n") && strings.Contains(status, "\nNoNewPrivs:\t1\n") &&
			strings.Contains(status, "\nCapBnd:\t0000000000000000\n")
	})
}
