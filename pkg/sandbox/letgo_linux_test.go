package sandbox

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNothingRunsBefore: the agent's process is there before the self-test, and
// the command is not executed when that fails.
func TestNothingRunsBefore(t *testing.T) {
	needsSandbox(t)
	w := newWorkspace(t, Policy{})
	made := filepath.Join(w.Path, "made")
	cfg := config(t, w, "sh", "-c", ">"+made)
	cfg.Listen = []Listen{{"tcp", "tcp", ProxyAddr}}
	sb, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	// An address that can be reached inside, as that of the host never must.
	err = sb.Go(Check{Reach: []string{ProxyAddr}})
	sb.Abandon() // the agent's process has ended now, whatever it was about to do
	if err == nil || !strings.Contains(err.Error(), "can be reached") {
		t.Errorf("got %v; want that the self-test fails", err)
	}
	if _, err := os.Stat(made); err == nil {
		t.Error("the command was executed")
	}
}

// TestRefused: the launcher knows at once whether the command was executed.
func TestRefused(t *testing.T) {
	needsSandbox(t)
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"runs", []string{"true"}, 0},
		{"ends with 127", []string{"sh", "-c", "exit 127"}, 0},
		{"missing", []string{"no-such-command"}, 127},
		{"not executable", []string{"/etc/passwd"}, 126},
	} {
		t.Run(c.name, func(t *testing.T) {
			sb, err := Start(config(t, newWorkspace(t, Policy{}), c.args...))
			if err != nil {
				t.Fatal(err)
			}
			if err := sb.Go(Check{}); err != nil {
				sb.Abandon()
				t.Fatal(err)
			}
			if got := sb.Refused(); got != c.want {
				t.Errorf("refused with %d; want %d", got, c.want)
			}
			code, err := sb.Wait()
			if err != nil || c.want != 0 && code != c.want {
				t.Errorf("it ended with %d, %v", code, err)
			}
		})
	}
}

// TestHealthy: only an answer of status 200 counts.
func TestHealthy(t *testing.T) {
	for name, c := range map[string]struct{ url, answer, want string }{
		"200":          {"http://a.invalid/healthz", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", ""},
		"no reason":    {"http://a.invalid/healthz", "HTTP/1.0 200\r\n\r\n", ""},
		"503":          {"http://a.invalid/healthz", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "503"},
		"200 in words": {"http://a.invalid/healthz", "HTTP/1.1 404 200 OK\r\n\r\n", "404"},
		"not HTTP":     {"http://a.invalid/healthz", "SSH-2.0-x 200 x\r\n", "SSH"},
		"half a line":  {"http://a.invalid/healthz", "HTTP/1.1 200", "no answer"},
		"endless":      {"http://a.invalid/healthz", strings.Repeat("x", 4096), "no answer"},
		"nothing":      {"http://a.invalid/healthz", "", "no answer"},
		"https":        {"https://a.invalid/healthz", "HTTP/1.1 200 OK\r\n\r\n", "wanted http://"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			asked := make(chan string, 1)
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				b := make([]byte, 512)
				n, _ := conn.Read(b)
				asked <- string(b[:n])
				io.WriteString(conn, c.answer)
				conn.Close()
			}()
			err = healthy(ln.Addr().String(), c.url, time.Now().Add(time.Minute))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
			if c.want == "wanted http://" {
				return
			}
			const want = "GET http://a.invalid/healthz HTTP/1.1\r\nHost: a.invalid\r\nConnection: close\r\n\r\n"
			if got := <-asked; got != want {
				t.Errorf("asked %q", got)
			}
		})
	}
}
